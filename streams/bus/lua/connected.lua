-- Says that connections are open, and gives their gateway a lease where it has none.
-- KEYS[1] presence stream of the partition   KEYS[2] gateway leases of the partition
-- ARGV[1] gateway   ARGV[2] length of a lease, ms   ARGV[3] how long entries are kept, ms
-- ARGV[4] how many fields and values an entry has   ARGV[5...] the fields and values of all entries
-- Returns whether there was no lease (1 or 0), and the id of the last entry.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local renewed = tonumber(redis.call('HGET', KEYS[2], ARGV[1]) or '')
local absent = 0
if not renewed or now - renewed > tonumber(ARGV[2]) then
  absent = 1
  redis.call('HSET', KEYS[2], ARGV[1], string.format('%.0f', now))
end
local keep = string.format('%.0f', now - tonumber(ARGV[3]))
local size = tonumber(ARGV[4])
local id
for first = 5, #ARGV, size do
  id = redis.call('XADD', KEYS[1], 'MINID', '~', keep, '*', unpack(ARGV, first, first + size - 1))
end
return {absent, id}
