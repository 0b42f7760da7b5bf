-- Claims a key that is missing for who fills it, and returns what stands there otherwise.
-- KEYS[1] the key. ARGV[1] the claim, [2] how long it lasts in milliseconds.
local value = redis.call('GET', KEYS[1])
if value then return value end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return false
