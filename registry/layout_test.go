package registry_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/registry"
)

// layoutDir is an image layout that a test fills.
type layoutDir struct {
	t       testing.TB
	dir     string
	members []evidence.Descriptor
}

func newLayout(t testing.TB) *layoutDir {
	t.Helper()
	l := &layoutDir{t: t, dir: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(l.dir, "blobs", "sha256"), 0o755); err != nil {
		t.Fatal(err)
	}
	l.write("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	return l
}

func (l *layoutDir) write(name string, data []byte) {
	l.t.Helper()
	if err := os.WriteFile(filepath.Join(l.dir, name), data, 0o600); err != nil {
		l.t.Fatal(err)
	}
}

func (l *layoutDir) blob(data []byte) evidence.Descriptor {
	l.t.Helper()
	d := evidence.Descriptor{MediaType: imageType, Digest: imageref.DigestOf(data), Size: int64(len(data))}
	l.write("blobs/sha256/"+d.Digest.Hex(), data)
	return d
}

// add stores a manifest and lists it with annotations, given in pairs.
func (l *layoutDir) add(data []byte, annotations ...string) evidence.Descriptor {
	l.t.Helper()
	d := l.blob(data)
	if strings.Contains(string(data), indexType) {
		d.MediaType = indexType
	}
	d.Annotations = map[string]string{}
	for i := 0; i < len(annotations); i += 2 {
		d.Annotations[annotations[i]] = annotations[i+1]
	}
	l.members = append(l.members, d)
	return d
}

func (l *layoutDir) open() *registry.Layout {
	l.t.Helper()
	l.write("index.json", indexJSON(l.t, l.members...))
	layout, err := registry.OpenLayout(l.dir, imageref.Repository{})
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Cleanup(func() { _ = layout.Close() })
	return layout
}

func referrerJSON(of imageref.Digest, mark string) []byte {
	return fmt.Appendf(nil, `{"schemaVersion":2,"mediaType":%q,"artifactType":"application/x","config":{"mediaType":"application/vnd.oci.empty.v1+json","digest":%q,"size":2},"layers":[],"subject":{"mediaType":%q,"digest":%q,"size":7},"annotations":{"mark":%q}}`,
		imageType, imageref.DigestOf([]byte("{}")), imageType, of, mark)
}

const refName = "org.opencontainers.image.ref.name"

func TestLayoutImage(t *testing.T) {
	image, other := manifestJSON("image"), manifestJSON("other")
	digest := imageref.DigestOf(image)
	cases := map[string]struct {
		reason string
		fill   func(*layoutDir)
		name   string
		want   evidence.Reason
	}{
		"Only": {"one image", func(l *layoutDir) { l.add(image) }, "", ""},
		"OnlyOfSeveral": {"signatures and referrers are no images", func(l *layoutDir) {
			l.add(image)
			l.add(manifestJSON("sig"), refName, "sha256-"+digest.Hex()+".sig")
			l.add(indexJSON(t), refName, "sha256-"+digest.Hex())
			l.add(referrerJSON(digest, "r"))
		}, "", ""},
		"CosignSave": {"what cosign save writes", func(l *layoutDir) {
			l.add(image, "kind", "dev.cosignproject.cosign/image")
			l.add(manifestJSON("sig"), "kind", "dev.cosignproject.cosign/sigs")
		}, "", ""},
		"TwoTagsOneImage": {"one image", func(l *layoutDir) { l.add(image, refName, "a"); l.add(image, refName, "b") }, "", ""},
		"TwoImages":       {"a name is needed", func(l *layoutDir) { l.add(image, refName, "a"); l.add(other, refName, "b") }, "", evidence.MalformedReference},
		"Tag":             {"by tag", func(l *layoutDir) { l.add(image, refName, "v1"); l.add(other, refName, "v2") }, "v1", ""},
		"WholeName":       {"by the reference that some tools write", func(l *layoutDir) { l.add(image, refName, "ghcr.io/acme/app:v1") }, "ghcr.io/acme/app:v1", ""},
		"Digest":          {"by digest", func(l *layoutDir) { l.add(image); l.add(other) }, digest.String(), ""},
		"TagTwice":        {"which one is not said", func(l *layoutDir) { l.add(image, refName, "v1"); l.add(other, refName, "v1") }, "v1", evidence.MalformedManifest},
		"NoSuchTag":       {"absent", func(l *layoutDir) { l.add(image) }, "v1", evidence.ImageNotFound},
		"Empty":           {"absent", func(*layoutDir) {}, "", evidence.ImageNotFound},
		"NoBlob":          {"listed and not there", func(l *layoutDir) { l.add(image); l.remove(digest) }, "", evidence.ImageNotFound},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			l := newLayout(t)
			tc.fill(l)
			got, err := l.open().Image(t.Context(), tc.name)
			if tc.want != "" {
				wantReason(t, err, tc.want)
				return
			}
			if err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if got.Digest() != digest || got.Repository.String() != "oci.layout/image" || got.Reference.Repository() != got.Repository {
				t.Errorf("%s: want %s of oci.layout/image, got %s of %s", tc.reason, digest, got.Digest(), got.Reference)
			}
		})
	}
}

func (l *layoutDir) remove(d imageref.Digest) {
	l.t.Helper()
	if err := os.Remove(filepath.Join(l.dir, "blobs", "sha256", d.Hex())); err != nil {
		l.t.Fatal(err)
	}
}

func TestLayoutIsASource(t *testing.T) {
	l := newLayout(t)
	image := l.add(manifestJSON("image"))
	signature := l.add(manifestJSON("sig"), refName, "sha256-"+image.Digest.Hex()+".sig")
	direct := l.add(referrerJSON(image.Digest, "direct"))
	nested := l.blob(referrerJSON(image.Digest, "nested"))
	missing := evidence.Descriptor{MediaType: imageType, Digest: imageref.DigestOf([]byte("another platform")), Size: 3}
	l.add(indexJSON(t, nested, missing))
	l.add(referrerJSON(signature.Digest, "of another"))
	payload := l.blob([]byte("payload"))
	layout := l.open()
	repository := layout.Repository()

	tag, err := repository.WithTag("sha256-" + image.Digest.Hex() + ".sig")
	if err != nil {
		t.Fatal(err)
	}
	m, err := layout.Manifest(t.Context(), tag)
	if err != nil || m.Descriptor.Digest != signature.Digest {
		t.Errorf("signature tag: want %s, got %s, %v", signature.Digest, m.Descriptor.Digest, err)
	}
	if got, err := layout.Blob(t.Context(), repository, payload, 100); err != nil || string(got) != "payload" {
		t.Errorf("blob: want it, got %q, %v", got, err)
	}
	for range 2 {
		found, err := layout.Referrers(t.Context(), repository, image.Digest)
		if err != nil || !found.Supported || found.Cut {
			t.Fatalf("referrers: want a whole list, got %+v, %v", found, err)
		}
		var digests []string
		for _, d := range found.Descriptors {
			digests = append(digests, d.Digest.String())
		}
		if diff := cmp.Diff([]string{direct.Digest.String(), nested.Digest.String()}, digests); diff != "" {
			t.Errorf("referrers (-want +got):\n%s", diff)
		}
	}
	_, err = layout.Manifest(t.Context(), imageref.MustParse("ghcr.io/acme/app:1"))
	wantReason(t, err, evidence.Internal)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = layout.Manifest(ctx, tag)
	wantReason(t, err, evidence.Cancelled)
}

// cosign save writes no tag for signatures.
func TestLayoutOfCosignSave(t *testing.T) {
	l := newLayout(t)
	image := l.add(manifestJSON("image"), "kind", "dev.cosignproject.cosign/image")
	signature := l.add(manifestJSON("sig"), "kind", "dev.cosignproject.cosign/sigs")
	layout := l.open()
	for suffix, want := range map[string]imageref.Digest{".sig": signature.Digest, ".att": {}} {
		tag, err := layout.Repository().WithTag("sha256-" + image.Digest.Hex() + suffix)
		if err != nil {
			t.Fatal(err)
		}
		m, err := layout.Manifest(t.Context(), tag)
		if want.IsZero() {
			wantReason(t, err, evidence.ImageNotFound)
		} else if err != nil || m.Descriptor.Digest != want {
			t.Errorf("%s: want %s, got %s, %v", suffix, want, m.Descriptor.Digest, err)
		}
	}
}

func TestLayoutAnswersForTheRepositoryItIsOpenedAs(t *testing.T) {
	l := newLayout(t)
	l.add(manifestJSON("image"))
	l.open()
	as := imageref.MustParse("ghcr.io/acme/app").Repository()
	layout, err := registry.OpenLayout(l.dir, as)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = layout.Close() }()
	image, err := layout.Image(t.Context(), "")
	if err != nil || image.Repository != as {
		t.Errorf("repository: want %s, got %s, %v", as, image.Repository, err)
	}
}

func TestR2LayoutDigestsAreChecked(t *testing.T) {
	l := newLayout(t)
	image := l.add(manifestJSON("image"))
	l.write("blobs/sha256/"+image.Digest.Hex(), manifestJSON("swapped"))
	layout := l.open()
	_, err := layout.Image(t.Context(), "")
	wantReason(t, err, evidence.DigestMismatch)
	_, err = layout.Referrers(t.Context(), layout.Repository(), image.Digest)
	wantReason(t, err, evidence.DigestMismatch)
}

func TestR1LayoutBounds(t *testing.T) {
	cases := map[string]struct {
		reason string
		fill   func(*layoutDir)
		want   evidence.Reason
	}{
		"ManyManifests": {"more than are read", func(l *layoutDir) {
			for i := range 1001 {
				l.add(manifestJSON(fmt.Sprint(i)))
			}
		}, evidence.LimitExceeded},
		"DeepIndexes": {"deeper than is read", func(l *layoutDir) {
			inner := l.blob(manifestJSON("x"))
			for range 6 {
				inner = l.blob(indexJSON(t, inner))
				inner.MediaType = indexType
			}
			l.members = append(l.members, inner)
		}, evidence.LimitExceeded},
		"LargeManifest": {"larger than is read", func(l *layoutDir) { l.add(append(manifestJSON("x"), make([]byte, 4<<20)...)) }, evidence.LimitExceeded},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			l := newLayout(t)
			tc.fill(l)
			layout := l.open()
			_, err := layout.Referrers(t.Context(), layout.Repository(), subject)
			wantReason(t, err, tc.want)
		})
	}
}

func TestR1LayoutReferrersAreCut(t *testing.T) {
	l := newLayout(t)
	for i := range registry.DefaultReferrers + 1 {
		l.add(referrerJSON(subject, fmt.Sprint(i)))
	}
	layout := l.open()
	got, err := layout.Referrers(t.Context(), layout.Repository(), subject)
	if err != nil || !got.Cut || len(got.Descriptors) != registry.DefaultReferrers {
		t.Errorf("referrers: want %d and cut, got %d, cut %t, %v", registry.DefaultReferrers, len(got.Descriptors), got.Cut, err)
	}
}

func TestR2LayoutStaysInItsFolder(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	content := manifestJSON("outside")
	if err := os.WriteFile(secret, content, 0o600); err != nil {
		t.Fatal(err)
	}
	link := func(l *layoutDir, name string) {
		if err := os.Symlink(secret, filepath.Join(l.dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("BlobLink", func(t *testing.T) {
		l := newLayout(t)
		d := l.add(content)
		l.remove(d.Digest)
		link(l, "blobs/sha256/"+d.Digest.Hex())
		_, err := l.open().Image(t.Context(), "")
		wantReason(t, err, evidence.RegistryRefused)
	})
	t.Run("FolderLink", func(t *testing.T) {
		l := newLayout(t)
		d := l.add(content)
		outside := t.TempDir()
		if err := os.Rename(filepath.Join(l.dir, "blobs"), filepath.Join(outside, "blobs")); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(filepath.Join(outside, "blobs"), filepath.Join(l.dir, "blobs")); err != nil {
			t.Fatal(err)
		}
		_, err := l.open().Manifest(t.Context(), imageref.MustParse("oci.layout/image").Repository().WithDigest(d.Digest))
		if err == nil {
			t.Error("a folder outside: want an error, got none")
		}
	})
	t.Run("IndexLink", func(t *testing.T) {
		l := newLayout(t)
		link(l, "index.json")
		_, err := registry.OpenLayout(l.dir, imageref.Repository{})
		wantReason(t, err, evidence.RegistryRefused)
	})
	t.Run("Directory", func(t *testing.T) {
		l := newLayout(t)
		if err := os.Mkdir(filepath.Join(l.dir, "index.json"), 0o700); err != nil {
			t.Fatal(err)
		}
		_, err := registry.OpenLayout(l.dir, imageref.Repository{})
		wantReason(t, err, evidence.RegistryRefused)
	})
}

func TestOpenLayoutThatIsNone(t *testing.T) {
	cases := map[string]struct {
		reason string
		fill   func(*layoutDir)
		want   evidence.Reason
	}{
		"NoIndex":      {"half a layout", func(*layoutDir) {}, evidence.ImageNotFound},
		"OtherVersion": {"a version to come", func(l *layoutDir) { l.write("oci-layout", []byte(`{"imageLayoutVersion":"2.0.0"}`)) }, evidence.MalformedManifest},
		"NotAnIndex":   {"an image as index.json", func(l *layoutDir) { l.write("index.json", manifestJSON("x")) }, evidence.MalformedManifest},
		"NotJSON":      {"garbage", func(l *layoutDir) { l.write("index.json", []byte("{")) }, evidence.MalformedManifest},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			l := newLayout(t)
			tc.fill(l)
			_, err := registry.OpenLayout(l.dir, imageref.Repository{})
			wantReason(t, err, tc.want)
		})
	}
	_, err := registry.OpenLayout(filepath.Join(t.TempDir(), "absent"), imageref.Repository{})
	wantReason(t, err, evidence.ImageNotFound)
}
