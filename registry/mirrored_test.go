package registry_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/registry"
)

func startTLSAskingForCertificates(t *testing.T, handler http.HandlerFunc) *fake {
	return start(t, handler, func(s *httptest.Server) {
		s.TLS = &tls.Config{ClientAuth: tls.RequestClientCert}
		s.StartTLS()
	})
}

func keyPEM(t *testing.T, key any) string {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// A mirroring is a registry with one mirror under the prefix "hub".
type mirroring struct {
	upstream, mirror *fixture.Registry
	content          string
}

func newMirroring(t *testing.T, tags bool) mirroring {
	t.Helper()
	upstream, upstreamCA := storeTLS(t, fixture.Options{Referrers: true})
	mirror, mirrorCA := storeTLS(t, fixture.Options{Referrers: true})
	return mirroring{upstream, mirror, fmt.Sprintf(`
registries:
- {host: '%s', caFile: %s, allowed: true, mirrors: [{host: '%s', prefix: hub, tags: %t}]}
- {host: '%s', caFile: %s}
`, upstream.Host(), upstreamCA, mirror.Host(), tags, mirror.Host(), mirrorCA)}
}

// paths are what a registry was asked, without token realms.
func paths(store *fixture.Registry) []string {
	var all []string
	for _, r := range store.Requests() {
		all = append(all, r.Path)
	}
	return all
}

func TestMirrorServesContentByDigest(t *testing.T) {
	m := newMirroring(t, false)
	image := push(t, m.upstream, "acme/app:v1", "a")
	push(t, m.mirror, "hub/acme/app:v1", "a")
	c := configured(t, m.content, nil)
	got, err := pull(t, c, image.Pinned())
	if err != nil || got.Descriptor.Digest != image.Digest {
		t.Fatalf("want %s, got %s and %v", image.Digest, got.Descriptor.Digest, err)
	}
	src := sourceFor(t, c, image.Reference.Repository())
	if _, err := src.Blob(t.Context(), image.Reference.Repository(), *got.Config, 1<<20); err != nil {
		t.Error(err)
	}
	if got := paths(m.upstream); len(got) != 0 {
		t.Errorf("want the registry left alone, got %q", got)
	}
	if got := paths(m.mirror); len(got) != 2 || !strings.HasPrefix(got[0], "/v2/hub/acme/app/manifests/sha256:") {
		t.Errorf("want the mirror asked below its prefix, got %q", got)
	}
	other := imageref.MustParse("ghcr.io/acme/other").Repository()
	if _, err := src.Blob(t.Context(), other, *got.Config, 1<<20); evidence.ProblemOf(err) == nil {
		t.Error("want another repository refused")
	}
}

func TestMirrorIsPassedOver(t *testing.T) {
	cases := map[string]struct {
		reason  string
		prepare func(m mirroring)
	}{
		"Absent":      {"it does not have the image", func(mirroring) {}},
		"Unreachable": {"it does not answer", func(m mirroring) { m.mirror.Close() }},
		"Fails":       {"it is ill", func(m mirroring) { answerAlways(m.mirror, http.StatusInternalServerError, "") }},
		"Denies":      {"it wants credentials", func(m mirroring) { answerAlways(m.mirror, http.StatusForbidden, "") }},
		"R2WrongBytes": {"it lies about a digest", func(m mirroring) {
			answerAlways(m.mirror, http.StatusOK, `{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":{},"layers":[]}`)
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			m := newMirroring(t, true)
			image := push(t, m.upstream, "acme/app:v1", "a")
			tc.prepare(m)
			c := configured(t, m.content, nil)
			if got, err := pull(t, c, image.Pinned()); err != nil || got.Descriptor.Digest != image.Digest {
				t.Errorf("%s: want %s from the registry, got %s and %v", tc.reason, image.Digest, got.Descriptor.Digest, err)
			}
		})
	}
}

func answerAlways(store *fixture.Registry, status int, body string) {
	store.Intercept(func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", evidence.MediaTypeImage)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
		return true
	})
}

func TestR39TagIsAMirrorsOnlyIfTheOperatorSaysSo(t *testing.T) {
	for _, tags := range []bool{false, true} {
		t.Run(fmt.Sprintf("Tags%t", tags), func(t *testing.T) {
			m := newMirroring(t, tags)
			image := push(t, m.upstream, "acme/app:v1", "the registry's")
			want := image.Digest
			if other := push(t, m.mirror, "hub/acme/app:v1", "the mirror's"); tags {
				want = other.Digest
			}
			c := configured(t, m.content, nil)
			if got, err := pull(t, c, image.Reference); err != nil || got.Descriptor.Digest != want {
				t.Errorf("want %s, got %s and %v", want, got.Descriptor.Digest, err)
			}
		})
	}
}

func TestR21MirrorsEmptyListHidesNoEvidence(t *testing.T) {
	for _, tags := range []bool{false, true} {
		t.Run(fmt.Sprintf("Tags%t", tags), func(t *testing.T) {
			m := newMirroring(t, tags)
			image := push(t, m.upstream, "acme/app:v1", "a")
			push(t, m.mirror, "hub/acme/app:v1", "a")
			if _, err := m.upstream.PushReferrer(t.Context(), image, fixture.Referrer{ArtifactType: "application/x.test"}); err != nil {
				t.Fatal(err)
			}
			src := sourceFor(t, configured(t, m.content, nil), image.Reference.Repository())
			found, err := src.Referrers(t.Context(), image.Reference.Repository(), image.Digest)
			if err != nil || len(found.Descriptors) != 1 {
				t.Errorf("want the registry's list, got %d and %v", len(found.Descriptors), err)
			}
			asked := slices.ContainsFunc(paths(m.mirror), func(p string) bool { return strings.Contains(p, "/referrers/") })
			if asked != tags {
				t.Errorf("want the mirror asked for its list %t, got %t", tags, asked)
			}
		})
	}
}

func TestR36MirrorsCredentials(t *testing.T) {
	m := newMirroring(t, false)
	image := push(t, m.upstream, "acme/app:v1", "a")
	push(t, m.mirror, "hub/acme/app:v1", "a")
	cases := map[string]struct {
		reason     string
		credential registry.Credential
		want       bool
	}{
		"Anonymous": {"the mirror gives to everybody what the registry may not", registry.Credential{}, true},
		"Operators": {"the operator's", registry.Credential{Username: "o", Password: "p", Operator: true}, true},
		"Own":       {"the puller's own were accepted", registry.Credential{Username: "u", Password: "p"}, false},
	}
	identities := map[string]string{}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var asked []string
			c := configured(t, m.content, func(o *registry.Options) {
				o.Keychain = registry.KeychainFunc(func(_ context.Context, _ evidence.Puller, r imageref.Repository) ([]registry.Credential, error) {
					asked = append(asked, r.String())
					if r.Host() == m.mirror.Host() && !tc.credential.IsZero() {
						return []registry.Credential{tc.credential}, nil
					}
					return nil, nil
				})
			})
			src, identity, err := c.Source(t.Context(), evidence.Puller{}, image.Reference.Repository())
			if err != nil {
				t.Fatal(err)
			}
			if want := []string{image.Reference.Repository().String(), m.mirror.Host() + "/hub/acme/app"}; !slices.Equal(asked, want) {
				t.Errorf("want credentials by place, got %q", asked)
			}
			if _, err := src.Manifest(t.Context(), image.Pinned()); err != nil {
				t.Fatal(err)
			}
			if got := operators(t, src); got != tc.want {
				t.Errorf("%s: want %t, got %t", tc.reason, tc.want, got)
			}
			identities[name] = identity
		})
	}
	if identities["Anonymous"] == identities["Own"] || identities["Anonymous"] == "" {
		t.Errorf("want identities that tell the mirror's credentials apart, got %v", identities)
	}
}

func TestR6RegistrysCredentialStaysAwayFromTheMirror(t *testing.T) {
	var given []string
	mirror := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		given = append(given, r.Header.Get("Authorization"))
		w.Header().Set("Www-Authenticate", `Basic realm="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	upstream := startTLS(t, func(w http.ResponseWriter, r *http.Request) { http.NotFound(w, r) })
	hosts, err := registry.ReadHosts(write(t, t.TempDir(), "registries.yaml",
		fmt.Sprintf("registries: [{host: '%s', mirrors: [{host: '%s', tags: true}]}]", upstream.host, mirror.host)), time.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := clientFor(t, func(o *registry.Options) {
		o.Hosts = hosts
		o.Keychain = registry.KeychainFunc(func(_ context.Context, _ evidence.Puller, r imageref.Repository) ([]registry.Credential, error) {
			if r.Host() == upstream.host {
				return []registry.Credential{{Username: "u", Password: "hunter2"}}, nil
			}
			return nil, nil
		})
	}, upstream, mirror)
	_, err = pull(t, c, upstream.ref(t, "acme/app:v1"))
	_ = problem(t, err, evidence.ImageNotFound)
	if len(given) == 0 || strings.Join(given, "") != "" {
		t.Errorf("want the mirror asked without a credential, got %q", given)
	}
}

func TestR2MirrorsOtherBlobIsNotTaken(t *testing.T) {
	m := newMirroring(t, false)
	image := push(t, m.upstream, "acme/app:v1", "a")
	answerAlways(m.mirror, http.StatusOK, `{}`)
	c := configured(t, m.content, nil)
	src := sourceFor(t, c, image.Reference.Repository())
	manifest, err := src.Manifest(t.Context(), image.Pinned())
	if err != nil {
		t.Fatal(err)
	}
	layer := manifest.Layers[0]
	got, err := src.Blob(t.Context(), image.Reference.Repository(), layer, 1<<20)
	if err != nil || !layer.Digest.Names(got) {
		t.Errorf("want the registry's blob, got %q and %v", got, err)
	}
}

// What neither has is what the registry says, not what the mirror did.
func TestR41MirrorsFailureIsNotTheAnswer(t *testing.T) {
	m := newMirroring(t, true)
	push(t, m.upstream, "acme/app:v1", "a")
	answerAlways(m.mirror, http.StatusServiceUnavailable, "")
	c := configured(t, m.content, nil)
	ref := refOf(t, m.upstream.Host()+"/acme/app:absent")
	_, err := pull(t, c, ref)
	if p := problem(t, err, evidence.ImageNotFound); p.Host != m.upstream.Host() {
		t.Errorf("want the registry's host, got %q", p.Host)
	}
	src := sourceFor(t, c, ref.Repository())
	found, err := src.Referrers(t.Context(), ref.Repository(), imageref.DigestOf(nil))
	if err != nil || !found.Supported || len(found.Descriptors) != 0 {
		t.Errorf("want the registry's empty list, got %+v and %v", found, err)
	}
	answerAlways(m.upstream, http.StatusServiceUnavailable, "")
	push(t, m.mirror, "hub/acme/app:v1", "a")
	_, err = pull(t, c, refOf(t, m.upstream.Host()+"/acme/app:v1"))
	if p := problem(t, err, evidence.RegistryUnavailable); p.Host != m.upstream.Host() {
		t.Errorf("want the registry's host, got %q", p.Host)
	}
}

// Docker Hub reads a name of one segment as another: what it has under that is not
// the registry's.
func TestR21MirrorThatReadsTheNameOtherwiseIsNotAsked(t *testing.T) {
	for name, tc := range map[string]struct {
		image string
		want  []string
	}{
		"OneSegment":  {"reg.example/nginx", []string{"reg.example/nginx"}},
		"TwoSegments": {"reg.example/acme/nginx", []string{"reg.example/acme/nginx", "docker.io/acme/nginx"}},
		"TooLong":     {"reg.example/" + strings.Repeat("a", 250), []string{"reg.example/" + strings.Repeat("a", 250)}},
	} {
		t.Run(name, func(t *testing.T) {
			prefix := ""
			if name == "TooLong" {
				prefix = ", prefix: proxy"
			}
			var asked []string
			c := configured(t, "registries: [{host: reg.example, mirrors: [{host: docker.io, tags: true"+prefix+"}]}]", func(o *registry.Options) {
				o.Keychain = registry.KeychainFunc(func(_ context.Context, _ evidence.Puller, r imageref.Repository) ([]registry.Credential, error) {
					asked = append(asked, r.String())
					return nil, nil
				})
			})
			sourceFor(t, c, refOf(t, tc.image).Repository())
			if !slices.Equal(asked, tc.want) {
				t.Errorf("want credentials for %q, got %q", tc.want, asked)
			}
		})
	}
}

// A mirror is read with credentials of its own; one whose credentials cannot be had
// is passed over, and the registry's are not.
func TestR48CredentialsThatFail(t *testing.T) {
	m := newMirroring(t, false)
	image := push(t, m.upstream, "acme/app:v1", "a")
	push(t, m.mirror, "hub/acme/app:v1", "a")
	for name, failing := range map[string]string{"Mirror": m.mirror.Host(), "Registry": m.upstream.Host()} {
		t.Run(name, func(t *testing.T) {
			before := len(paths(m.mirror))
			c := configured(t, m.content, func(o *registry.Options) {
				o.Keychain = registry.KeychainFunc(func(_ context.Context, _ evidence.Puller, r imageref.Repository) ([]registry.Credential, error) {
					if r.Host() == failing {
						return nil, errBoom
					}
					return nil, nil
				})
			})
			src, _, err := c.Source(t.Context(), evidence.Puller{}, image.Reference.Repository())
			if name == "Registry" {
				wantReason(t, err, evidence.CredentialsFailed)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if _, err := src.Manifest(t.Context(), image.Pinned()); err != nil || len(paths(m.mirror)) != before {
				t.Errorf("want the mirror passed over, got %q and %v", paths(m.mirror), err)
			}
		})
	}
}

// What is remembered of a repository with a mirror that says what tags mean is not
// used where it does not.
func TestR36IdentityTellsWhatMirrorsAreBelieved(t *testing.T) {
	identities := map[string]string{}
	for _, mirrors := range []string{"{host: m.example}", "{host: m.example, tags: true}", "{host: m.example, prefix: x}", "{host: n.example}", "{host: m.example}, {host: n.example}", "{host: n.example}, {host: m.example}"} {
		c := configured(t, "registries: [{host: reg.example, mirrors: ["+mirrors+"]}]", nil)
		_, identity, err := c.Source(t.Context(), evidence.Puller{}, imageref.MustParse("reg.example/acme/app").Repository())
		if err != nil {
			t.Fatal(err)
		}
		if other, same := identities[identity]; same {
			t.Errorf("want identities that differ for %s and %s", mirrors, other)
		}
		identities[identity] = mirrors
	}
}

func TestMirrorsListCountsWhereItIsBelieved(t *testing.T) {
	m := newMirroring(t, true)
	push(t, m.upstream, "acme/app:v1", "a")
	image := push(t, m.mirror, "hub/acme/app:v1", "a")
	if _, err := m.mirror.PushReferrer(t.Context(), image, fixture.Referrer{ArtifactType: "application/x.test"}); err != nil {
		t.Fatal(err)
	}
	c := configured(t, m.content, func(o *registry.Options) { o.Workstation = true })
	repository := refOf(t, m.upstream.Host()+"/acme/app").Repository()
	src := sourceFor(t, c, repository)
	found, err := src.Referrers(t.Context(), repository, image.Digest)
	if err != nil || len(found.Descriptors) != 1 || len(paths(m.upstream)) != 0 {
		t.Errorf("want the mirror's list alone, got %d, %v and %q asked of the registry", len(found.Descriptors), err, paths(m.upstream))
	}
	if operators(t, src) {
		t.Error("want a workstation's person to be the operator")
	}
}
