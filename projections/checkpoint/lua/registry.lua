-- Changes the registry of a projection's builds: all fields that are given, or none.
--
-- KEYS[1] builds:{<projection>}    KEYS[2…] checkpoints in turn: of what is live, and of what is to have come as far
--
-- ARGV[1] how many fields    ARGV[2…] for each: name, what it must hold, what it holds then; '' for nothing
--
-- Returns '', or 'taken' where a field holds something else, or 'behind'. Removing a field first lets the change pass on a
-- server that is full: Redis refuses nothing to a script that has written.
local n = tonumber(ARGV[1])
for i = 2, 3 * n + 1, 3 do
  if (redis.call('HGET', KEYS[1], ARGV[i]) or '') ~= ARGV[i + 1] then
    return 'taken'
  end
end
for i = 2, #KEYS, 2 do
  local still = tonumber(redis.call('HGET', KEYS[i], 'seq') or '0')
  if tonumber(redis.call('HGET', KEYS[i + 1], 'seq') or '0') < still then
    return 'behind'
  end
end
for i = 2, 3 * n + 1, 3 do
  redis.call('HDEL', KEYS[1], ARGV[i])
end
for i = 2, 3 * n + 1, 3 do
  if ARGV[i + 2] ~= '' then
    redis.call('HSET', KEYS[1], ARGV[i], ARGV[i + 2])
  end
end
return ''
