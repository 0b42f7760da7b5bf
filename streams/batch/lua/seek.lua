-- Puts the cursor of a consumer group behind an entry of the log. Makes the group, and the stream, where there is none, and
-- forgets the group's other readers: each life of each worker that ever read would stay in it for ever.
--
-- KEYS[1]  {p}:log, stream
-- ARGV[1]  group
-- ARGV[2]  stream id of the last entry that is done, "0" for none
-- ARGV[3]  the reader
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
  return 0
end
for _, reader in ipairs(redis.call('XINFO', 'CONSUMERS', KEYS[1], ARGV[1])) do
  if reader[2] ~= ARGV[3] then
    redis.call('XGROUP', 'DELCONSUMER', KEYS[1], ARGV[1], reader[2])
  end
end
return 0
