"""Where sessions are kept. Every backend keeps the promise of base.py; callers see nothing else."""
