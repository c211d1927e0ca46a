-- How many lines there are, and the sum of their prices.
SELECT count(*), sum(l_extendedprice) FROM lineitem
