-- Keeps everybody from feeding a build in a partition: its checkpoint gets a token that nobody's is as high as.
--
-- KEYS[1] {p}:checkpoint:<projection>    ARGV[1] the token    ARGV[2] for how long the checkpoint is kept, in milliseconds,
-- with nothing else in it; 0 for as long as the build    ARGV[3] 1 where nothing else is kept in that case either
--
-- Something is removed first, so that the rest passes on a server that is full.
redis.call('HDEL', KEYS[1], 'token', 'hold')
if ARGV[2] ~= '0' or ARGV[3] == '1' then
  redis.call('DEL', KEYS[1])
end
redis.call('HSET', KEYS[1], 'token', ARGV[1])
if ARGV[2] ~= '0' then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return ''
