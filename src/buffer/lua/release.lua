-- Frees a unique value, if it is still its owner's.
-- KEYS: 1 reservation
-- ARGV: owner key, 1 only while it is provisional (has a TTL), 0 in any case
-- Returns 1 freed, 0 not

if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
if ARGV[2] == '1' and redis.call('PTTL', KEYS[1]) < 0 then return 0 end
return redis.call('DEL', KEYS[1])
