-- Puts a value where the claim still stands, or gives the claim up where there is no value.
-- KEYS[1] the key. ARGV[1] the claim, [2] the value or nothing, [3] how long it lasts in milliseconds.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '' then
  redis.call('DEL', KEYS[1])
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
