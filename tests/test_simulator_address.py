import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from robotini_ray.simulator_address import AddressError, SimulatorAddress


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("localhost", ("localhost", 11000, 11001)),
        ("192.168.1.20:12000", ("192.168.1.20", 12000, 11001)),
        ("sim.example.org:1:65535", ("sim.example.org", 1, 65535)),
        ("sim_1", ("sim_1", 11000, 11001)),
        ("[::1]:1:2", ("::1", 1, 2)),
        ("[2001:db8::1]", ("2001:db8::1", 11000, 11001)),
        ("[fe80::1%eth0]:1", ("fe80::1%eth0", 1, 11001)),
    ],
)
def test_ports_default_to_the_simulators_own(text, address):
    assert SimulatorAddress.parse(text) == SimulatorAddress(*address)


@given(host=st.sampled_from(["host-1", "::1"]), car_port=st.integers(1, 65535), log_port=st.integers(1, 65535))
def test_an_address_is_written_as_it_is_read(host, car_port, log_port):
    address = SimulatorAddress(host, car_port, log_port)
    assert SimulatorAddress.parse(str(address)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        ":11000",
        "host:",
        "host:0",
        "host:65536",
        "host:-1",
        "host:1.5",
        "host:a",
        "host:1:2:3",
        "host:1:",
        "host::2",
        "host:²",
        "host:٣",
        "host: 1",
        "host:+1",
        "host:1_0",
        "host:" + "9" * 5000,
        "two words",
        " ",
        "::1",
        "::1:11000:11001",
        "[::1",
        "[]",
        "[::1]1",
        "[localhost]",
        "[192.168.1.20]",
        "192..168.1.2",
        "x" * 64 + ".example.org",
        "host\0",
        "http://host:1",
    ],
)
def test_other_forms_are_refused_with_an_example(text):
    with pytest.raises(AddressError) as caught:
        SimulatorAddress.parse(text)
    message = str(caught.value)
    assert message.startswith(f"simulator address is {text!r}; allowed: HOST[:CAR_PORT[:LOG_PORT]], for example ")
    assert message.splitlines() == [message]


@settings(deadline=None)
@given(text=st.text(alphabet="a:.1290 \n²-", max_size=12) | st.text())
def test_any_text_is_an_address_or_refused(text):
    try:
        address = SimulatorAddress.parse(text)
    except AddressError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert address.host and 0 < address.car_port < 65536 and 0 < address.log_port < 65536
