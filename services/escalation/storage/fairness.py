"""What is claimed when more is due than fits a batch: the first few of every policy, then what is due longest."""

from typing import LiteralString

FIRST = 8
"""Rows that each policy has for certain in a batch, as long as there are fewer policies than a batch has room for."""


def fairly(table: LiteralString, key: LiteralString, condition: LiteralString = "true") -> LiteralString:
    """A query for the keys of up to `limit` rows of a table that are ready at `now`, locked; others' locks are passed over.

    The policies are found by an index step each, so what is due behind a storm is seen at once.
    """
    return f"""
with recursive policies (name) as (
    (select policy_id from {table} order by policy_id limit 1)
    union all
    select (select policy_id from {table} where policy_id > policies.name order by policy_id limit 1)
    from policies where name is not null
), seen as (
    select {key}, min(place) as place from (
        select of_each.* from policies cross join lateral (
            select {key}, row_number() over (order by ready_at) as place from {table}
            where policy_id = name and ready_at <= %(now)b order by ready_at limit {FIRST}) of_each
        union all (
            select {key}, {FIRST + 1} from {table} where ready_at <= %(now)b order by ready_at limit %(limit)b)) found
    group by {key}
)
select {key} from {table} join seen using ({key}) where ready_at <= %(now)b and {condition}
order by place, ready_at limit %(limit)b for update of {table} skip locked"""
