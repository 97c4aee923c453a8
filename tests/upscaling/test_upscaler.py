"""The upscaler: luma by the network, the rest bicubic, tile by tile as if all at once."""

import multiprocessing
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from espcn.imaging.color import from_ycbcr, to_ycbcr
from espcn.imaging.resize import imresize
from espcn.io.reading import read_picture
from espcn.network.device import has_bfloat16
from espcn.network.model import ESPCN
from espcn.network.strengths import FINER, NONE, Compression, load_strength
from espcn.network.weights import load, shipped
from espcn.upscaling import tiles
from espcn.upscaling.upscaler import Upscaler
from helpers import write_checkpoint

HAS_BFLOAT16 = pytest.mark.skipif(
    not has_bfloat16(torch.device("cpu")), reason="the processor has no bfloat16"
)


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    import skimage.data

    return np.ascontiguousarray(skimage.data.astronaut()[20:91, 180:263])


@pytest.fixture(scope="module")
def exact() -> Upscaler:
    return Upscaler(3, engine="torch", precision="float32", device="cpu")


def expected(photo: np.ndarray, r: int) -> np.ndarray:
    """Return the plain way, in float64: luma through the network, chroma through `imresize`."""
    planes = to_ycbcr(torch.from_numpy(photo).permute(2, 0, 1))
    height, width = photo.shape[:2]
    with torch.no_grad():
        luma = load_strength(r, FINER).double()(planes[None, :1] / 255)[0] * 255
    chroma = imresize(planes[1:], r * height, r * width)
    return from_ycbcr(torch.cat([luma, chroma])).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("r", [2, 3, 4])
def test_colors_are_luma_by_the_network_and_chroma_bicubic(photo: np.ndarray, r: int) -> None:
    large = Upscaler(r, engine="torch", precision="float32", device="cpu")(photo)
    assert (large.dtype, large.shape) == (np.uint8, (r * 71, r * 83, 3))
    wanted = expected(photo, r).clip(0, 255)
    assert np.abs(large - wanted).max() < 0.501


def test_every_depth_gives_the_same_picture(photo: np.ndarray, exact: Upscaler) -> None:
    wanted = expected(photo, 3).clip(0, 255) / 255
    deep = exact(photo.astype(np.uint16) * 257)
    assert deep.dtype == np.uint16
    assert np.abs(deep - 65535 * wanted).max() < 1
    for kind in (np.float32, np.float64):
        large = exact((photo / 255).astype(kind))
        assert large.dtype == kind
        np.testing.assert_allclose(large, wanted, rtol=0, atol=1e-5)


def test_grey_is_upscaled_like_luma_and_alpha_is_bicubic(
    photo: np.ndarray, exact: Upscaler
) -> None:
    grey, alpha = photo[..., 1], photo[..., 2].clip(1)  # nothing is quite hidden
    with torch.no_grad():
        luma = (torch.from_numpy(grey)[None, None].float() * 219 / 255 + 16) / 255
        finer = load_strength(3, FINER)(luma)[0, 0].numpy()
    wanted = (255 * finer - 16) * 255 / 219
    large = exact(grey)
    assert large.shape == (213, 249)
    assert np.abs(large - wanted.clip(0, 255)).max() < 0.51
    assert np.array_equal(exact(grey[..., None])[..., 0], large)
    smooth = imresize(torch.from_numpy(alpha).double(), 213, 249).clamp(0, 255).round().numpy()
    both = exact(np.stack([grey, alpha], 2))
    assert np.array_equal(both[..., 0], large)
    assert np.abs(both[..., 1] - smooth).max() <= 1
    colored = exact(np.concatenate([photo, alpha[..., None]], 2))
    assert np.array_equal(colored[..., :3], exact(photo))
    assert np.array_equal(colored[..., 3], both[..., 1])


@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=HAS_BFLOAT16)])
@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.float32])
def test_black_and_white_stay_so_in_grey_as_in_colour(precision: str, kind: type) -> None:
    upscaler = Upscaler(3, engine="torch", precision=precision, device="cpu")
    white = np.iinfo(kind).max if np.issubdtype(kind, np.integer) else 1
    drawing = np.full((30, 40), white, kind)
    drawing[:, :20] = 0
    grey, color = upscaler(drawing), upscaler(np.dstack([drawing] * 3))
    np.testing.assert_allclose(grey, color[..., 0], rtol=0, atol=white / 255)
    assert grey[:, 90:].min() > (1 - 1.5 / 255) * white
    assert grey[:, :30].max() < 1.5 / 255 * white
    both = upscaler(np.dstack([drawing, np.full_like(drawing, white)]))
    assert np.array_equal(both[..., 0], grey)


def test_transparency_leaves_no_halo(photo: np.ndarray, exact: Upscaler) -> None:
    y, x = np.mgrid[:71, :83]
    inside = (y - 35) ** 2 + (x - 41) ** 2 < 900
    disc = np.where(inside[..., None], np.uint8(255), np.uint8(0)).repeat(4, 2)
    alpha = (large := exact(disc))[..., 3:] / 255
    assert (large[..., :3] * alpha + 255 * (1 - alpha)).min() > 253  # over white
    hidden = np.where(inside[..., None], np.dstack([photo, inside * np.uint8(255)]), 0)
    middle = (slice(80, 130), slice(90, 160))  # far from the edge
    assert np.array_equal(exact(hidden.astype(np.uint8))[middle][..., :3], exact(photo)[middle])


@pytest.mark.parametrize("precision", ["float32", pytest.param("bfloat16", marks=HAS_BFLOAT16)])
def test_tiles_give_the_whole_picture(
    photo: np.ndarray, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    upscaler = Upscaler(3, engine="torch", precision=precision, device="cpu")
    deep = photo.astype(np.uint16) * 257
    clear = np.dstack([photo, np.where(photo[..., 0] > 128, 0, 255).astype(np.uint8)])
    whole = [upscaler(picture).astype(int) for picture in (photo, deep, clear)]
    monkeypatch.setattr(tiles, "BAND", 83 * 7)
    monkeypatch.setattr(tiles, "TILE_WIDTH", 11)
    tiled = [upscaler(picture).astype(int) for picture in (photo, deep, clear)]
    assert np.abs(tiled[1] - whole[1]).max() <= 1
    for number in (0, 2):
        most = 0 if precision == "float32" else 2
        assert np.abs(tiled[number] - whole[number]).max() <= most


@pytest.fixture(params=[(1, "zeros"), (3, "replicate"), (3, "zeros")])
def own(request: pytest.FixtureRequest, tmp_path: Path) -> Upscaler:
    """Return an upscaler with a network of another kind, its weights at random."""
    channels, padding = request.param
    torch.manual_seed(0)
    network = ESPCN(2, channels, padding=padding)
    for layer in (network.conv1, network.conv2, network.conv3):
        assert layer.bias is not None
        torch.nn.init.normal_(layer.bias, std=0.1)
    kinds = {"r": 2, "channels": channels, "padding": padding}
    path = write_checkpoint(tmp_path / "own.ckpt", network, **kinds)
    return Upscaler(ckpt=path, engine="torch", precision="float32", device="cpu")


def test_networks_of_every_kind_upscale_as_they_were_trained(
    own: Upscaler, photo: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = load(ckpt=own._made_from["ckpt"]).network.double()

    def made(planes: torch.Tensor) -> np.ndarray:
        with torch.no_grad():
            return 255 * network(planes[None].double() / 255)[0].permute(1, 2, 0).numpy()

    rgb, alpha = torch.from_numpy(photo).permute(2, 0, 1), photo[..., 2:].clip(1)
    grey = rgb[1:2]
    if network.channels == 3:
        wanted = {"rgb": made(rgb), "grey": made(grey.repeat(3, 1, 1)) @ [0.299, 0.587, 0.114]}
    else:
        planes = to_ycbcr(rgb)
        luma = torch.from_numpy(made(planes[:1])).permute(2, 0, 1)
        chroma = imresize(planes[1:], 142, 166)
        color = from_ycbcr(torch.cat([luma, chroma])).permute(1, 2, 0).numpy()
        finer = made(grey.double() * 219 / 255 + 16)[..., 0]
        wanted = {"rgb": color, "grey": (finer - 16) * 255 / 219}
    for band, across in ((10**6, 512), (83 * 7, 11)):  # whole, and in many tiles
        monkeypatch.setattr(tiles, "BAND", band)
        monkeypatch.setattr(tiles, "TILE_WIDTH", across)
        for name, pixels in (("rgb", photo), ("grey", photo[..., 1])):
            assert np.abs(own(pixels) - wanted[name].clip(0, 255)).max() < 0.51
        deep = own(photo.astype(np.uint16) * 257) / 257
        assert np.abs(deep - wanted["rgb"].clip(0, 255)).max() < 0.01
        both = own(np.dstack([photo, alpha]))
        assert np.array_equal(both[..., :3], own(photo))
        smooth = own(np.dstack([photo[..., 1:2], alpha]))[..., 1]  # bicubic, with grey as well
        assert np.array_equal(both[..., 3], smooth)


def test_planes_of_video_want_a_network_of_luma(own: Upscaler, photo: np.ndarray) -> None:
    grey, large = np.ascontiguousarray(photo[..., 1]), np.empty((142, 166), np.uint8)
    if own.engine.channels == 3:
        with pytest.raises(
            ValueError, match="only the luma of a video is upscaled, but the network in"
        ):
            own.luma(grey, 8, large)
        return
    own.luma(grey, 8, large, full_range=True)
    assert np.array_equal(large, own(grey))


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3), (5, 7, 3), (3, 2, 4)])
def test_smallest_pictures(shape: tuple[int, ...], exact: Upscaler) -> None:
    large = exact(np.full(shape, 77, np.uint8))
    assert large.shape == (3 * shape[0], 3 * shape[1], *shape[2:])
    assert np.abs(large.astype(int) - 77).max() <= 2  # a constant picture stays about that


@HAS_BFLOAT16
def test_bfloat16_is_near_and_deep_pictures_are_exact(photo: np.ndarray, exact: Upscaler) -> None:
    short = Upscaler(3, engine="torch", precision="bfloat16", device="cpu")
    error = short(photo).astype(float) - exact(photo)
    assert 0 < np.sqrt(np.square(error).mean()) < 0.6
    deep = photo.astype(np.uint16) * 257
    assert np.array_equal(short(deep), exact(deep))


@pytest.mark.parametrize("full_range", [False, True])
def test_planes_of_video_are_luma_as_it_is_or_grey_pictures(
    photo: np.ndarray, exact: Upscaler, full_range: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiles, "BAND", 83 * 30)  # three bands
    grey = np.ascontiguousarray(photo[..., 1])
    large = np.empty((213, 249), np.uint8)
    exact.luma(grey, 8, large, full_range)
    with torch.no_grad():
        finer = load_strength(3, FINER)(torch.from_numpy(grey)[None, None] / 255)[0, 0].numpy()
    wanted = exact(grey) if full_range else (255 * finer).clip(0, 255)
    assert np.abs(large - wanted).max() < (1e-9 if full_range else 0.51)
    deep, white = np.empty((213, 249), np.uint16), 1023 if full_range else 1020
    exact.luma(np.rint(grey / 255 * white).astype(np.uint16), 10, deep, full_range)
    assert np.abs(deep * (255 / white) - large).max() <= 1
    assert deep.max() <= 1023
    cut = np.empty((212, 248), np.uint8)  # as of an odd size with chroma at half
    exact.luma(grey, 8, cut, full_range)
    assert np.array_equal(cut, large[:212, :248])


def test_chroma_keeps_its_place(exact: Upscaler) -> None:
    # A slope tells where each sample was taken. Samples stand on the left one of two luma columns,
    # also once upscaled: at 2 k in luma columns, whose middle is 2 k + 1/2 from the left.
    slope = np.tile(np.arange(16, dtype=np.uint16) * 40, (4, 1))
    large = np.empty((12, 48), np.uint16)
    exact.chroma(slope, 10, large, shift=(1 - 1 / 3) / 4)
    inner = np.arange(9, 39)
    small_place = ((2 * inner + 0.5) / 3 - 0.5) / 2
    np.testing.assert_allclose(large[5, inner], 40 * small_place, atol=0.51)
    exact.chroma(slope, 10, large, shift=-1 / 12)  # from the middle to the left one
    np.testing.assert_allclose(large[5, inner], 40 * ((2 * inner + 0.5) / 6 - 0.5), atol=0.51)
    exact.chroma(slope, 10, large)
    np.testing.assert_allclose(large[5, inner], 40 * ((inner + 0.5) / 3 - 0.5), atol=0.51)


def test_every_kind_of_picture_is_taken(photo: np.ndarray, exact: Upscaler, tmp_path: Path) -> None:
    large = exact(photo)
    assert np.array_equal(exact(Image.fromarray(photo)), large)
    assert np.array_equal(exact(torch.from_numpy(photo).permute(2, 0, 1)).permute(1, 2, 0), large)
    one, other = exact([photo, Image.fromarray(photo)])
    assert isinstance(other, Image.Image)
    assert np.array_equal(one, large)
    Image.fromarray(photo).save(tmp_path / "a.png")
    Image.fromarray(photo).save(tmp_path / "a.jpg", quality=40)
    assert np.array_equal(exact(str(tmp_path / "a.png")), large)
    saved, as_saved = tmp_path / "a.jpg", read_picture(tmp_path / "a.jpg")
    suited = exact.suited_to(Compression("jpeg", 40))
    assert np.array_equal(exact(saved), suited(as_saved))  # a file says how it was compressed
    assert not np.array_equal(exact(saved), exact(as_saved))
    with pytest.raises(ValueError, match="got dict"):
        exact({})


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_upscalers_work_in_other_processes(photo: np.ndarray, method: str) -> None:
    suited = Upscaler(2, precision="float32").suited_to(Compression("jpeg", 50))
    large = suited(photo)  # with all threads, which a forked process lacks
    with multiprocessing.get_context(method).Pool(2) as pool:
        made = pool.map_async(suited, [photo, photo[:40]]).get(timeout=120)
    assert np.abs(made[0].astype(int) - large).max() <= 1  # another number of threads
    assert made[1].shape == (80, 166, 3)
    assert repr(pickle.loads(pickle.dumps(suited))) == repr(suited)
    assert "weights jpeg" in repr(suited)


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_forked_process_needs_nothing_sent(photo: np.ndarray, precision: str) -> None:
    upscaler = Upscaler(2, precision=precision)
    upscaler(photo)
    upscaler.engine.lock.acquire()  # by a thread that does not live on there
    context = multiprocessing.get_context("fork")
    results = context.Queue()
    process = context.Process(target=lambda: results.put(upscaler(photo).shape))
    process.start()
    assert results.get(timeout=60) == (142, 166, 3)
    process.join()
    upscaler.engine.lock.release()


def test_factor_must_be_that_of_the_weights() -> None:
    assert Upscaler(ckpt=shipped(2)).r == 2
    with pytest.raises(ValueError, match=r"`r` \(=3\) must be the factor of `ckpt` \(2\)"):
        Upscaler(3, ckpt=shipped(2))
    with pytest.raises(ValueError, match=r"`r` \(=5\) must be one of the shipped factors"):
        Upscaler(5)


def test_other_factors_have_the_same_options() -> None:
    first = Upscaler(2, precision="float32", compression=20)
    assert first.factors == [2, 3, 4]
    other = first.by(4)
    assert (other.r, str(other.strength), other.engine.precision) == (4, "finer weights", "float32")
    assert first.by(4) is other
    assert other.engine.lock is first.engine.lock
    assert repr(pickle.loads(pickle.dumps(other))) == repr(other)
    picture = np.random.default_rng(0).integers(0, 256, (9, 8), np.uint8)
    assert np.array_equal(other(picture), Upscaler(4, precision="float32")(picture))
    for quality in (40, 70):
        plain = Upscaler(2, precision="float32", compression=quality)
        suited = first.suited_to(Compression("jpeg", quality))
        assert np.array_equal(suited(picture), plain(picture))
    own = Upscaler(ckpt=shipped(3))
    assert own.by(3) is own
    for upscaler, r, there in ((first, 5, "2, 3, 4"), (own, 2, "3")):
        with pytest.raises(
            ValueError, match=rf"`r` \(={r}\) must be a factor of .* choose {there}"
        ):
            upscaler.by(r)


def test_compression_is_a_quality_and_not_given_with_a_network_of_ones_own() -> None:
    own = shipped(3)
    with pytest.raises(ValueError, match=r"`compression` \(=40\) must be left out with `ckpt`"):
        Upscaler(ckpt=own, compression=40)
    with pytest.raises(ValueError, match=r"`compression` \(=strong\) must be auto, none or a q"):
        Upscaler(compression="strong")
    with pytest.raises(ValueError, match=r"`compression` \(=101\) must be at most 100"):
        Upscaler(compression=101)
    for none in (None, "auto", "none"):
        assert Upscaler(ckpt=own, compression=none).suited_to(Compression("jpeg", 20)).is_own


def test_auto_believes_files_and_what_jpegs_were_opened_as(
    photo: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(photo).save(path, quality=40)
    options = {"engine": "torch", "precision": "float32", "device": "cpu"}
    auto, none = (Upscaler(2, compression=one, **options) for one in ("auto", "none"))
    clean = Upscaler(2, **options)
    saved = read_picture(path)
    suited = clean.suited_to(Compression("jpeg", 40))(saved)
    assert np.array_equal(auto(path), suited)
    assert np.array_equal(auto(saved), clean(saved))  # an array says nothing
    assert np.array_equal(none(path), clean(saved))
    with Image.open(path) as opened:
        decoded = np.asarray(opened)
        assert np.array_equal(auto(opened), clean.suited_to(Compression("jpeg", 40))(decoded))
        assert np.array_equal(auto([opened])[0], auto(opened))
        assert np.array_equal(auto(opened.crop((0, 0, 83, 71))), clean(decoded))  # another picture
        for other in (none, clean):
            assert np.array_equal(other(opened), clean(decoded))


@pytest.mark.parametrize(
    ("r", "words"),
    [
        (
            "nope.ckpt",
            r"`r` \(='nope.ckpt'\) must be a factor, .* not text: pass a file as `ckpt`",
        ),
        (Path("run"), r"`r` \(='run'\) must be a factor, .* pass a file as `ckpt`"),
        (
            "3",
            r"`r` \(='3'\) must be a factor, a whole number and not text: pass it without quotes",
        ),
        (
            2.5,
            r"`r` \(=2.5\) must be a whole number \(2, 3, 4\): for other sizes use espcn-upscale",
        ),
        (7, r"`r` \(=7\) must be one of the shipped factors \(2, 3, 4\)"),
    ],
)
def test_what_is_no_factor_is_told_what_it_is(r: object, words: str) -> None:
    for make in (Upscaler, load):
        with pytest.raises(ValueError, match=words):
            make(r)  # type: ignore[arg-type]
    assert Upscaler(np.int64(2)).r == 2  # type: ignore[arg-type]


def test_folder_is_no_picture(exact: Upscaler, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must be a picture, but is a folder: give a list of its"):
        exact(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere.png"):
        exact(str(tmp_path / "nowhere.png"))


def test_ensemble_is_the_mean_over_flipped_and_turned_pictures(photo: np.ndarray) -> None:
    one, eight = (Upscaler(3, precision="float32", ensemble=given) for given in (False, True))
    assert "the mean of eight" in repr(eight)
    picture = np.ascontiguousarray(photo[:41, :47]).astype(np.float32) / 255
    made = []
    for turns in range(4):
        turned = np.rot90(picture, turns)
        made.append(np.rot90(one(turned.copy()), -turns))
        made.append(np.rot90(one(turned[:, ::-1].copy())[:, ::-1], -turns))
    inner = slice(12, -12)  # clipped at black and white before the mean, or after it
    difference = np.abs(eight(picture) - np.mean(made, 0))
    assert difference[inner, inner].mean() < 1e-4
    assert np.median(difference) < 1e-6
    sibling = eight.suited_to(Compression("jpeg", 50))
    assert "the mean of eight" in repr(sibling)


def test_suited_upscaler_is_made_once_and_takes_turns_with_the_first() -> None:
    first = Upscaler(2, precision="float32")
    other = first.suited_to(Compression("jpeg", 20))
    assert other is not first
    assert other is first.suited_to(Compression("jpeg", 20))
    assert other.suited_to(NONE) is first
    assert other.engine.lock is first.engine.lock
    assert str(other.strength) == "weights jpeg 5"
