-- Claims a key that is there, whatever stands there: a value that is out of date, or the claim of a fill that began before.
-- KEYS[1] the key. ARGV[1] the claim, [2] how long it lasts in milliseconds.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1
