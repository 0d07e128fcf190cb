import pytest

from robotini_ray.doctor.exposure import check_addresses, check_token


def test_public_addresses_are_a_warning():
    assert check_addresses([])[0].level == "ok"
    (finding,) = check_addresses(["8.8.8.8"])
    assert finding.level == "warning" and "8.8.8.8" in finding.what and "SECURITY.md" in finding.cure


@pytest.mark.parametrize(
    ("environment", "level"),
    [
        ({}, "ok"),
        ({"RAY_AUTH_MODE": "token"}, "ok"),
        ({"RAY_AUTH_MODE": "disabled"}, "warning"),
        ({"RAY_ADDRESS": "10.0.0.1:6379"}, "warning"),
        ({"RAY_ADDRESS": "local"}, "ok"),
        ({"RAY_ADDRESS": "10.0.0.1:6379", "RAY_AUTH_MODE": "token"}, "ok"),
        ({"RAY_AUTH_TOKEN": "x"}, "ok"),
    ],
)
def test_modes(tmp_path, environment, level):
    (finding,) = check_token({"RAY_AUTH_TOKEN_PATH": str(tmp_path / "none"), **environment})
    assert finding.level == level
    assert level == "ok" or "RAY_AUTH_MODE=token" in finding.cure


def test_a_token_that_others_can_read_is_a_warning(tmp_path):
    path = tmp_path / "token"
    path.write_text("t")
    for mode, level in ((0o644, "warning"), (0o640, "warning"), (0o600, "ok")):
        path.chmod(mode)
        (finding,) = check_token({"RAY_AUTH_TOKEN_PATH": str(path)})
        assert finding.level == level
        assert level == "ok" or f"chmod 600 {path}" in finding.cure
