-- Puts the cursor of a consumer group behind an entry of the log. Makes the group, and the stream, where there is none.
--
-- KEYS[1]  {p}:log, stream
-- ARGV[1]  group
-- ARGV[2]  stream id of the last entry that is done, "0" for none
--
-- Returns 1 if the group was made, else 0.

local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2], 'MKSTREAM')
if not made.err then
  return 1
end
if not string.find(made.err, 'BUSYGROUP', 1, true) then
  return made
end
local set = redis.pcall('XGROUP', 'SETID', KEYS[1], ARGV[1], ARGV[2])
if set.err then
  -- The embedded server has no SETID. To make the group anew is the same: it keeps nothing but its cursor.
  redis.call('XGROUP', 'DESTROY', KEYS[1], ARGV[1])
  redis.call('XGROUP', 'CREATE', KEYS[1], ARGV[1], ARGV[2])
end
return 0
