begin;
select plan(5);

insert into auth.users (id, email) values
  ('a0000000-0000-4000-8000-000000000001', 'ann@example.com'),
  ('b0000000-0000-4000-8000-000000000002', 'ben@example.com');
insert into public.mira_workflows (id, user_id, name)
values ('c0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'graph');

set local role service_role;
insert into public.mira_workflow_nodes (id, workflow_id, user_id, type, name) values
  ('d0000000-0000-4000-8000-000000000001', 'c0000000-0000-4000-8000-000000000001', 'b0000000-0000-4000-8000-000000000002', 'start', 'start');
select is((select user_id from public.mira_workflow_nodes), 'a0000000-0000-4000-8000-000000000001'::uuid,
  'whatever the server says, a node belongs to the owner of its workflow');
update public.mira_workflow_nodes set user_id = 'b0000000-0000-4000-8000-000000000002';
select is((select user_id from public.mira_workflow_nodes), 'a0000000-0000-4000-8000-000000000001'::uuid, 'and stays with it');

set local request.jwt.claims = '{"sub":"a0000000-0000-4000-8000-000000000001","role":"authenticated"}';
set local request.jwt.claim.sub = 'a0000000-0000-4000-8000-000000000001';
set local role authenticated;
select throws_ok(
  $$insert into public.mira_workflow_nodes (workflow_id, user_id, type, name)
    values ('c0000000-0000-4000-8000-000000000001', 'a0000000-0000-4000-8000-000000000001', 'end', 'end')$$,
  '42501', null, 'people do not say whose a node is');
insert into public.mira_workflow_edges (workflow_id, source_node_id, target_node_id)
values ('c0000000-0000-4000-8000-000000000001', 'd0000000-0000-4000-8000-000000000001', 'd0000000-0000-4000-8000-000000000001');

set local role service_role;
update public.mira_workflows set user_id = 'b0000000-0000-4000-8000-000000000002';
select is((select user_id from public.mira_workflow_nodes), 'b0000000-0000-4000-8000-000000000002'::uuid,
  'nodes change hands with their workflow');
select is((select user_id from public.mira_workflow_edges), 'b0000000-0000-4000-8000-000000000002'::uuid, 'and so do edges');

select * from finish();
rollback;
