"""Which part goes to which node; the cluster is a list of nodes, Ray is not started."""

import socket

import pytest

from robotini_ray.config import ConfigError, config_from_dict
from robotini_ray.program.placement import Node, PlacementError, check_cluster, plan_cluster, plan_one_machine

DRIVER = Node("d", "10.0.0.1", {"CPU": 4.0})


def worker(number, **resources):
    return Node(f"w{number}", f"10.0.0.{number}", {"CPU": 4.0, **resources})


def config(cars=6, **sections):
    return config_from_dict({"collection": {"cars": cars}, **sections})


def plan(run, *workers, driver=DRIVER):
    return plan_cluster(run, [*workers, driver], driver.node_id)


def test_one_machine_and_a_cluster_without_resources_keep_everything_with_the_driver():
    for made in (plan_one_machine(config()), plan(config(), worker(2), worker(3))):
        assert not made.leaves_the_driver
        assert [(share.cars, dict(share.bundle)) for share in made.shares] == [(6, {})]


def test_cars_are_shared_evenly_as_far_as_sim_allows_and_each_share_reserves_its_node():
    made = plan(config(cars=9), worker(2, sim=2.0), worker(3, sim=8.0), worker(4, sim=4.0))
    assert [(share.cars, dict(share.bundle)) for share in made.shares] == [
        (4, {"sim": 8.0}),
        (3, {"sim": 4.0}),
        (2, {"sim": 2.0}),
    ]
    assert made.leaves_the_driver and dict(made.learner) == {}


def test_nodes_that_no_car_is_left_for_stay_empty():
    assert [share.cars for share in plan(config(cars=1), worker(2, sim=1.0), worker(3, sim=1.0)).shares] == [1]


def test_the_drivers_node_may_offer_sim_too():
    made = plan(config(cars=4), worker(2, sim=2.0), driver=Node("d", "10.0.0.1", {"sim": 2.0}))
    assert [(share.cars, dict(share.bundle)) for share in made.shares] == [(2, {"sim": 2.0})] * 2


def test_more_cars_than_places_are_refused_with_all_numbers():
    with pytest.raises(PlacementError) as caught:
        plan(config(cars=7), worker(2, sim=2.0), worker(3, sim=4.0))
    assert str(caught.value) == (
        "collection.cars is 7, but the nodes take 6 (resource sim; 10.0.0.3: 4, 10.0.0.2: 2): "
        "set it to 6, or start nodes with more sim"
    )


def test_a_node_takes_as_many_cars_as_its_embedded_simulator_but_reserves_all_of_its_sim():
    made = plan(config(cars=33), worker(2, sim=64.0), worker(3, sim=1.0))
    assert [(share.cars, dict(share.bundle)) for share in made.shares] == [(32, {"sim": 64.0}), (1, {"sim": 1.0})]
    with pytest.raises(PlacementError, match=r"cars is 33, but the nodes take 32 "):
        plan(config(cars=33), worker(2, sim=64.0))


def test_a_cluster_that_shares_no_cars_has_one_embedded_simulator():
    with pytest.raises(ConfigError, match="cars is 33, but an embedded simulator takes 32"):
        plan(config(cars=33), worker(2))


class TestLearner:
    def test_a_gpu_is_taken_where_there_is_one(self):
        made = plan(config(learner={"num_gpus": 1}), worker(2), worker(3, GPU=1.0))
        assert dict(made.learner) == {"GPU": 1.0} and made.leaves_the_driver

    def test_it_stays_with_the_driver_where_that_has_it(self):
        with_gpu = Node("d", "10.0.0.1", {"GPU": 1.0})
        assert dict(plan(config(learner={"num_gpus": 0.5}), worker(3, GPU=1.0), driver=with_gpu).learner) == {}
        with_learner = Node("d", "10.0.0.1", {"learner": 1.0})
        assert dict(plan(config(), worker(3, learner=1.0), driver=with_learner).learner) == {}

    def test_without_a_gpu_the_learner_resource_decides(self):
        assert dict(plan(config(), worker(2, learner=1.0), worker(3, GPU=1.0)).learner) == {"learner": 1.0}

    def test_a_gpu_that_nobody_has_is_refused(self):
        with pytest.raises(
            PlacementError, match=r"learner.num_gpus is 2, but no node offers that many GPUs \(10.0.0.2: 1, 10.0.0.1: 0\)"
        ):
            plan(config(learner={"num_gpus": 2}), worker(2, GPU=1.0))


class TestListedSimulators:
    def shares(self, *listed, workers=(), driver=DRIVER):
        entries = [{"host": host, "cars": cars} for host, cars in listed]
        run = config(cars=sum(cars for _, cars in listed), simulators=entries)
        return [(share.cars, dict(share.bundle), share.listed.host) for share in plan(run, *workers, driver=driver).shares]

    def test_collectors_run_beside_a_simulator_whose_machine_is_a_node(self):
        assert self.shares(("10.0.0.3", 4), workers=(worker(2, sim=8.0), worker(3, sim=8.0))) == [
            (4, {"sim": 4.0, "node:10.0.0.3": 0.001}, "10.0.0.3")
        ]
        assert self.shares(("10.0.0.3", 4), workers=(worker(3),)) == [(4, {"node:10.0.0.3": 0.001}, "10.0.0.3")]

    def test_else_where_there_is_sim_or_with_the_driver(self):
        assert self.shares(("10.0.0.9", 4), workers=(worker(2, sim=8.0),)) == [(4, {"sim": 4.0}, "10.0.0.9")]
        assert self.shares(("10.0.0.9", 4), workers=(worker(2),)) == [(4, {}, "10.0.0.9")]

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "10.0.0.1"])
    def test_one_on_the_drivers_machine_is_driven_from_there(self, host):
        assert self.shares((host, 4), workers=(worker(2, sim=8.0),)) == [(4, {}, host)]

    def test_two_of_them(self):
        found = self.shares(("10.0.0.2", 1), ("127.0.0.1", 2), workers=(worker(2, sim=8.0),))
        assert [cars for cars, _, _ in found] == [1, 2] and [bool(bundle) for _, bundle, _ in found] == [True, False]

    def test_a_host_that_nobody_knows_is_named(self):
        with pytest.raises(PlacementError, match=r"simulators: host no-such-host.invalid cannot be resolved here"):
            self.shares(("no-such-host.invalid", 1))

    def test_on_one_machine_each_is_a_share_of_its_own(self):
        made = plan_one_machine(config(cars=3, simulators=[{"host": "a", "cars": 1}, {"host": "b", "cars": 2}]))
        assert [(share.cars, share.listed.host) for share in made.shares] == [(1, "a"), (2, "b")]
        assert not made.leaves_the_driver


class TestAddress:
    def test_one_where_somebody_listens_is_taken_and_so_is_auto(self):
        with socket.create_server(("127.0.0.1", 0)) as server:
            check_cluster(f"127.0.0.1:{server.getsockname()[1]}")
        check_cluster("auto")

    def test_one_where_nobody_does_is_named_with_the_cure(self):
        with pytest.raises(PlacementError, match=r"no Ray cluster at 127.0.0.1:1: .*cluster/README.md"):
            check_cluster("127.0.0.1:1")

    @pytest.mark.parametrize("address", ["ray://127.0.0.1:10001", "somewhere", "127.0.0.1:", ":6379"])
    def test_no_address_is_refused(self, address):
        with pytest.raises(PlacementError, match=f"--address is {address}; allowed: local, auto or HOST:PORT"):
            check_cluster(address)
