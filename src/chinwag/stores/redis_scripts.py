"""Names of keys in Redis, and what Redis does in one step. Data only; nothing here connects.

Every key of one session carries its id in braces, so that a Redis Cluster keeps them in one slot
and a script may change them together. A script checks everything before its first write: Redis
does not undo what a script did before it failed. Each may be run a second time with the same
arguments, for its reply may have been lost, and then says the same as the first time.

    chinwag:{ID}:entries            stream; entry n has the id n-0, and fields v (JSON), w (token)
    chinwag:{ID}:head               hash: birth, line (headline), count, size
    chinwag:{ID}:part               stream: an answer that is coming in; its head, then deltas
    chinwag:{ID}:lease              who writes; expires by itself
    chinwag:{ID}:trash:STAMP:…      the first three, of a deleted session
    chinwag:blob:SHA                an attachment
    chinwag:sessions chinwag:trash  sorted sets: what there is, and what was deleted
"""

from __future__ import annotations

import hashlib
import re
from typing import NamedTuple

SESSIONS = "chinwag:sessions"
TRASH = "chinwag:trash"
EVERYTHING = "chinwag:{*}:*"
#: A member of both indexes which says that nothing older than the index is missing from it.
COMPLETE = ""

_KEY = re.compile(r"chinwag:\{([^{}]+)\}:(?:trash:(\d+):)?(?:entries|head)")


def key(session_id: str, what: str) -> str:
    return f"chinwag:{{{session_id}}}:{what}"


def gone(session_id: str, stamp: str, what: str) -> str:
    return key(session_id, f"trash:{stamp}:{what}")


def blob(digest: str) -> str:
    return f"chinwag:blob:{digest}"


def named(raw: bytes) -> tuple[str, str] | None:
    """Whose key this is, and when that session was deleted ("" for one that was not)."""
    found = _KEY.fullmatch(raw.decode("utf-8", "replace"))
    return (found[1], found[2] or "") if found else None


class Script(NamedTuple):
    text: str
    sha: str


def _script(text: str) -> Script:
    return Script(text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


_WRITER = """
local function writer(row)
  local fields = row[2]
  for i = 1, #fields, 2 do
    if fields[i] == 'w' then return fields[i + 1] end
  end
  return ''
end
"""
_LAST = """
local function last(key)
  local tail = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)
  return tail[1] and tonumber(string.match(tail[1][1], '^%d+')) or 0
end
"""

#: KEYS entries head lease; ARGV at birth headline ttl owner lease-ms, then JSON and token of each.
#: Gives 'ok', or 'locked' and the owner, or 'conflict' and how many entries there are.
APPEND = _script(
    _WRITER
    + _LAST
    + """
local at, n, ours = tonumber(ARGV[1]), (#ARGV - 6) / 2, ARGV[5]
local found = last(KEYS[1])
local birth = redis.call('HGET', KEYS[2], 'birth')
if found < at or (found > at and n == 0) or (at == 0 and birth and birth ~= ARGV[2]) then
  return {'conflict', found}
end
local there = math.min(found - at, n)
if there > 0 then
  local rows = redis.call('XRANGE', KEYS[1], (at + 1) .. '-0', (at + there) .. '-0')
  if #rows ~= there then return {'conflict', found} end
  for i, row in ipairs(rows) do
    if writer(row) ~= ARGV[6 + 2 * i] then return {'conflict', found} end
  end
end
local owner = redis.call('GET', KEYS[3])
if ours ~= '' and owner and owner ~= ours and (there < n or n == 0) then
  return {'locked', owner}
end
local size = 0
for i = there + 1, n do
  local data = ARGV[5 + 2 * i]
  redis.call('XADD', KEYS[1], (at + i) .. '-0', 'v', data, 'w', ARGV[6 + 2 * i])
  size = size + #data
end
if found <= at + n then
  redis.call('HSET', KEYS[2], 'birth', ARGV[2], 'line', ARGV[3], 'count', at + n)
  redis.call('HINCRBY', KEYS[2], 'size', size)
end
if tonumber(ARGV[4]) > 0 then
  redis.call('EXPIRE', KEYS[1], ARGV[4])
  redis.call('EXPIRE', KEYS[2], ARGV[4])
end
if ours ~= '' and not owner then redis.call('SET', KEYS[3], ours, 'PX', ARGV[6]) end
return {'ok'}
"""
)

_PACKED = """
local function packed(key, first, last, most)
  local rows = redis.call('XRANGE', key, first, last, 'COUNT', most)
  local ids, sizes, values = {}, {}, {}
  for i, row in ipairs(rows) do
    local value = ''
    for j = 1, #row[2], 2 do
      if row[2][j] == 'v' then value = row[2][j + 1] end
    end
    ids[i], sizes[i], values[i] = row[1], #value, value
  end
  return {table.concat(ids, ' '), table.concat(sizes, ' '), table.concat(values)}
end
"""

#: KEYS entries head part lease; ARGV first last most. All of one instant: the head's fields, if
#: there are entries, those asked for, the newest's id, the part, the lease's owner. A transaction
#: would be refused where memory is full. Rows come as three strings (their ids, their sizes, their
#: values end to end), for the client takes ten times as long over as many small replies.
READ = _script(
    _PACKED
    + """
local tail = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
return {
  redis.call('HMGET', KEYS[2], 'birth', 'line', 'count', 'size'),
  redis.call('EXISTS', KEYS[1]),
  packed(KEYS[1], ARGV[1], ARGV[2], ARGV[3]),
  tail[1] and tail[1][1] or '',
  packed(KEYS[3], '-', '+', 1000000),
  redis.call('GET', KEYS[4]),
}
"""
)

#: KEYS stream; ARGV first last most. Rows as in READ.
ROWS = _script(_PACKED + "return packed(KEYS[1], ARGV[1], ARGV[2], ARGV[3])")

#: KEYS lease; ARGV owner ms. Takes or renews it; gives the owner there is.
LEASE = _script("""
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return owner end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]
""")

#: KEYS lease; ARGV owner. Lets go of it if it is that one's.
RELEASE = _script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""")

#: KEYS part; ARGV token head ttl.
BEGIN = _script("""
redis.call('DEL', KEYS[1])
redis.call('XADD', KEYS[1], '1-0', 'v', ARGV[2], 'w', ARGV[1])
if tonumber(ARGV[3]) > 0 then redis.call('EXPIRE', KEYS[1], ARGV[3]) end
return 1
""")

#: KEYS part; ARGV token k data. Gives 0 when the part is no longer the one with that token.
ADD = _script(
    _WRITER
    + _LAST
    + """
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
if not first[1] or writer(first[1]) ~= ARGV[1] then return 0 end
if last(KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('XADD', KEYS[1], ARGV[2] .. '-0', 'v', ARGV[3])
end
return 1
"""
)

#: KEYS part; ARGV token, "" for whosever it is.
END = _script(
    _WRITER
    + """
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)
if ARGV[1] ~= '' and first[1] and writer(first[1]) ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
"""
)

#: KEYS entries head part lease, then entries head part in the trash; ARGV owner.
#: Gives 'ok', 'none', or 'locked' and the owner.
DELETE = _script("""
if redis.call('EXISTS', KEYS[5], KEYS[6]) > 0 then return {'ok'} end
if redis.call('EXISTS', KEYS[1], KEYS[2]) == 0 then return {'none'} end
local owner = redis.call('GET', KEYS[4])
if owner and owner ~= ARGV[1] then return {'locked', owner} end
for i = 1, 3 do
  if redis.call('EXISTS', KEYS[i]) == 1 then redis.call('RENAME', KEYS[i], KEYS[i + 4]) end
end
redis.call('DEL', KEYS[4])
return {'ok'}
""")

#: KEYS lease, then all there is to go for good; ARGV owner. Gives 'ok', or 'locked' and the owner.
ERASE = _script("""
local owner = redis.call('GET', KEYS[1])
if owner and owner ~= ARGV[1] then return {'locked', owner} end
for i = 1, #KEYS do redis.call('DEL', KEYS[i]) end
return {'ok'}
""")

#: KEYS entries head part, then the same three in the trash; ARGV stamp.
#: Gives 'ok', 'none', or 'conflict' and how many entries there are.
RESTORE = _script(
    _LAST
    + """
if redis.call('EXISTS', KEYS[1], KEYS[2]) > 0 then
  if redis.call('HGET', KEYS[2], 'restored') == ARGV[1] then return {'ok'} end
  return {'conflict', last(KEYS[1])}
end
if redis.call('EXISTS', KEYS[4], KEYS[5]) == 0 then return {'none'} end
redis.call('DEL', KEYS[3])
for i = 1, 3 do
  if redis.call('EXISTS', KEYS[i + 3]) == 1 then redis.call('RENAME', KEYS[i + 3], KEYS[i]) end
end
redis.call('HSET', KEYS[2], 'restored', ARGV[1])
return {'ok'}
"""
)

#: KEYS index; ARGV members. By the server's clock: those of the hosts may differ.
LIST = _script("""
local now = redis.call('TIME')[1]
for i = 1, #ARGV do redis.call('ZADD', KEYS[1], now, ARGV[i]) end
return 1
""")

#: KEYS index; ARGV seconds, then members. Takes them off the list if listed longer ago than that.
UNLIST = _script("""
local oldest = redis.call('TIME')[1] - ARGV[1]
for i = 2, #ARGV do
  local score = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if score and tonumber(score) <= oldest then redis.call('ZREM', KEYS[1], ARGV[i]) end
end
return 1
""")
