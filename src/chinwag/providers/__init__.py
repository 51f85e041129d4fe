"""Who answers: dialects, endpoints, profiles, and one transport."""
