-- Replaces the record of a failed write, unless the write has been resolved or is another one by now.
-- KEYS: 1 failed
-- ARGV: key, version that the record has, new record
-- Returns 1 replaced, 0 not

local record = redis.call('HGET', KEYS[1], ARGV[1])
if not record or cjson.decode(record).version ~= tonumber(ARGV[2]) then return 0 end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return 1
