-- How many orders there are, and the sum of their prices.
SELECT count(*), sum(o_totalprice) FROM orders
