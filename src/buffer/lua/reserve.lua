-- Takes a unique value for one owner, for a while; confirmed by PERSIST once the owner's write is in the buffer.
-- KEYS: 1 reservation
-- ARGV: owner key, provisional TTL in s
-- Returns 1 taken now, 2 already this owner's, 0 another owner has it

local owner = redis.call('GET', KEYS[1])
if not owner then
  redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
  return 1
end
if owner == ARGV[1] then return 2 end
return 0
