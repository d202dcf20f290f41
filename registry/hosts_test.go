package registry_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/registry"
)

// storeTLS is a registry with a certificate authority of its own, whose file is
// returned.
func storeTLS(t *testing.T, o fixture.Options) (store *fixture.Registry, caFile string) {
	t.Helper()
	o.TLS = true
	store, err := fixture.NewRegistry(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(store.Close)
	return store, write(t, t.TempDir(), "ca.pem", string(store.CA()))
}

func write(t testing.TB, folder, name, content string) string {
	t.Helper()
	file := filepath.Join(folder, name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func push(t *testing.T, store *fixture.Registry, name, content string) fixture.Image {
	t.Helper()
	image, err := store.PushImage(t.Context(), name, content)
	if err != nil {
		t.Fatal(err)
	}
	return image
}

// configured returns a client by a file of this content.
func configured(t *testing.T, content string, change func(*registry.Options)) *registry.Client {
	t.Helper()
	hosts, err := registry.ReadHosts(write(t, t.TempDir(), "registries.yaml", content), time.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	return clientFor(t, func(o *registry.Options) {
		o.Hosts = hosts
		if change != nil {
			change(o)
		}
	})
}

func TestReadHostsRefuses(t *testing.T) {
	folder := t.TempDir()
	write(t, folder, "empty.pem", "nothing")
	cases := map[string]string{
		"UnknownField":     "registries: [{host: a.example, cafile: x}]",
		"UnknownTop":       "hosts: []",
		"DuplicateField":   "registries: [{host: a.example, host: b.example}]",
		"TwoDocuments":     "registries: []\n---\nregistries: []",
		"NotAList":         "registries: {host: a.example}",
		"NoHost":           "registries: [{allowed: true}]",
		"HostWithPath":     "registries: [{host: a.example/team}]",
		"HostWithScheme":   "registries: [{host: 'https://a.example'}]",
		"HostPattern":      "registries: [{host: '*.example'}]",
		"HostTwice":        "registries: [{host: docker.io}, {host: index.docker.io}]",
		"HostTwicePort":    "registries: [{host: a.example}, {host: 'A.example:443'}]",
		"AbsentCA":         "registries: [{host: a.example, caFile: gone.pem}]",
		"EmptyCA":          "registries: [{host: a.example, caFile: empty.pem}]",
		"R7CAAndInsecure":  "registries: [{host: a.example, caFile: empty.pem, insecure: true}]",
		"CertificateAlone": "registries: [{host: a.example, clientCertificateFile: empty.pem}]",
		"BadPair":          "registries: [{host: a.example, clientCertificateFile: empty.pem, clientKeyFile: empty.pem}]",
		"MirrorOfItself":   "registries: [{host: docker.io, mirrors: [{host: registry-1.docker.io}]}]",
		"MirrorTwice":      "registries: [{host: a.example, mirrors: [{host: b.example}, {host: B.example}]}]",
		"MirrorURL":        "registries: [{host: a.example, mirrors: [{host: 'b.example/x'}]}]",
		"MirrorPrefix":     "registries: [{host: a.example, mirrors: [{host: b.example, prefix: '../x'}]}]",
		"MirrorPrefixTag":  "registries: [{host: a.example, mirrors: [{host: b.example, prefix: 'x:y'}]}]",
		"TooManyMirrors":   "registries: [{host: a.example, mirrors: [{host: b1.example}, {host: b2.example}, {host: b3.example}, {host: b4.example}, {host: b5.example}]}]",
		"TooManyHosts":     "registries: [" + strings.Repeat("{host: a.example},", 513) + "]",
		"TooLarge":         "#" + strings.Repeat("x", 1<<20),
		"Malformed":        "registries: [",
	}
	for name, content := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := registry.ReadHosts(write(t, folder, "registries.yaml", content), time.Now, nil); err == nil {
				t.Error("want an error, got none")
			}
		})
	}
	if _, err := registry.ReadHosts(folder, time.Now, nil); err == nil {
		t.Error("want a folder refused")
	}
	if _, err := registry.ReadHosts(write(t, folder, "registries.yaml", ""), time.Now, nil); err != nil {
		t.Errorf("want an empty file to say nothing, got %v", err)
	}
}

// The largest of each is no error.
func TestReadHostsAccepts(t *testing.T) {
	var hosts []string
	for i := range 512 {
		hosts = append(hosts, fmt.Sprintf("{host: r%d.example}", i))
	}
	cases := map[string]string{
		"MostHosts":           "registries: [" + strings.Join(hosts, ",") + "]",
		"MostMirrors":         "registries: [{host: a.example, mirrors: [{host: b1.example}, {host: b2.example}, {host: b3.example}, {host: b4.example}]}]",
		"Largest":             "#" + strings.Repeat("x", 1<<20-1),
		"OtherPrefix":         "registries: [{host: a.example, mirrors: [{host: b.example}, {host: b.example, prefix: x}]}]",
		"SamePrefixElsewhere": "registries: [{host: a.example, mirrors: [{host: b.example, prefix: x}, {host: c.example, prefix: x}]}]",
		"MirrorOfEachOther":   "registries: [{host: a.example, mirrors: [{host: b.example}]}, {host: b.example, mirrors: [{host: a.example}]}]",
	}
	for name, content := range cases {
		t.Run(name, func(t *testing.T) {
			if _, err := registry.ReadHosts(write(t, t.TempDir(), "registries.yaml", content), time.Now, nil); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestR7PrivateAuthorityIsForItsHostAlone(t *testing.T) {
	private, caFile := storeTLS(t, fixture.Options{})
	other, _ := storeTLS(t, fixture.Options{})
	image, foreign := push(t, private, "acme/app:v1", "a"), push(t, other, "acme/app:v1", "a")
	content := fmt.Sprintf("registries: [{host: '%s', caFile: %s, allowed: true}, {host: '%s', allowed: true}]", private.Host(), caFile, other.Host())
	c := configured(t, content, nil)
	if _, err := pull(t, c, image.Reference); err != nil {
		t.Errorf("want the host verified by its own authority, got %v", err)
	}
	_, err := pull(t, c, foreign.Reference)
	_ = problem(t, err, evidence.RegistryTLS)
}

func TestR7InsecureIsForItsHostAlone(t *testing.T) {
	named, _ := storeTLS(t, fixture.Options{})
	other, _ := storeTLS(t, fixture.Options{})
	image, foreign := push(t, named, "acme/app:v1", "a"), push(t, other, "acme/app:v1", "a")
	c := configured(t, fmt.Sprintf("registries: [{host: '%s', insecure: true}, {host: '%s', allowed: true}]", named.Host(), other.Host()), nil)
	if _, err := pull(t, c, image.Reference); err != nil {
		t.Errorf("want the host that the operator names read, got %v", err)
	}
	_, err := pull(t, c, foreign.Reference)
	_ = problem(t, err, evidence.RegistryTLS)
	if !c.Named(image.Reference.Repository()) {
		t.Error("want the host to count as named by the operator")
	}
}

func TestR8FileVouchesOnlyForHostsThatItAllows(t *testing.T) {
	store, caFile := storeTLS(t, fixture.Options{})
	image := push(t, store, "acme/app:v1", "a")
	c := configured(t, fmt.Sprintf("registries: [{host: '%s', caFile: %s}]", store.Host(), caFile), nil)
	_, err := pull(t, c, image.Reference)
	_ = problem(t, err, evidence.RegistryRefused)
	if got := store.Requests(); len(got) != 0 || c.Named(image.Reference.Repository()) {
		t.Errorf("want loopback refused before it is asked, got %d requests", len(got))
	}
}

// TestHostsFollowTheirFiles also covers that a broken change keeps the last good
// content.
func TestHostsFollowTheirFiles(t *testing.T) {
	store, _ := storeTLS(t, fixture.Options{})
	other, _ := storeTLS(t, fixture.Options{})
	image := push(t, store, "acme/app:v1", "a")
	folder := t.TempDir()
	write(t, folder, "ca.pem", string(store.CA()))
	good := fmt.Sprintf("registries: [{host: '%s', caFile: ca.pem, allowed: true}]", store.Host())
	file := write(t, folder, "registries.yaml", good)
	var seconds atomic.Int64
	now := func() time.Time { return time.Unix(seconds.Load(), 0) }
	var failures []error
	hosts, err := registry.ReadHosts(file, now, func(err error) { failures = append(failures, err) })
	if err != nil {
		t.Fatal(err)
	}
	c := clientFor(t, func(o *registry.Options) { o.Clock, o.Hosts = now, hosts })
	step := func(reason string, at int64, want evidence.Reason, failed int) {
		t.Helper()
		seconds.Store(at)
		_, err := pull(t, c, image.Reference)
		got := evidence.Reason("")
		if err != nil {
			got = evidence.ProblemOf(err).Reason
		}
		if got != want || len(failures) != failed {
			t.Errorf("%s: want reason %q and %d failures, got %q and %d", reason, want, failed, got, len(failures))
		}
	}
	step("as it was read", 0, "", 0)
	write(t, folder, "ca.pem", string(other.CA()))
	step("not looked at yet", 4, "", 0)
	step("another authority, and no connection of the first is used again", 5, evidence.RegistryTLS, 0)
	write(t, folder, "registries.yaml", "registries: [{hots: x}]")
	step("the last good content stays", 10, evidence.RegistryTLS, 1)
	write(t, folder, "ca.pem", string(store.CA()))
	write(t, folder, "registries.yaml", good)
	step("mended", 15, "", 1)
	write(t, folder, "registries.yaml", "")
	step("taken back", 20, evidence.RegistryRefused, 1)
}

func TestClientCertificateGoesToItsHostAlone(t *testing.T) {
	seen := map[string]int{}
	handler := func(w http.ResponseWriter, r *http.Request) {
		seen[r.Host] = len(r.TLS.PeerCertificates)
		http.NotFound(w, r)
	}
	named, other := startTLSAskingForCertificates(t, handler), startTLSAskingForCertificates(t, handler)
	folder := t.TempDir()
	pair := named.server.TLS.Certificates[0]
	write(t, folder, "client.pem", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: pair.Certificate[0]})))
	write(t, folder, "client.key", keyPEM(t, pair.PrivateKey))
	hosts, err := registry.ReadHosts(write(t, folder, "registries.yaml",
		fmt.Sprintf("registries: [{host: '%s', clientCertificateFile: client.pem, clientKeyFile: client.key}]", named.host)), time.Now, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := clientFor(t, func(o *registry.Options) { o.Hosts = hosts }, named, other)
	for _, f := range []*fake{named, other} {
		_, err := pull(t, c, f.ref(t, "acme/app:v1"))
		_ = problem(t, err, evidence.ImageNotFound)
	}
	if seen[named.host] != 1 || seen[other.host] != 0 {
		t.Errorf("want one certificate at %s alone, got %v", named.host, seen)
	}
}

func TestR6CredentialForItsOwnHostAlone(t *testing.T) {
	var given atomic.Int32
	realm := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Authorization"), "Basic ") {
			given.Add(1)
		}
		fmt.Fprint(w, `{"token":"t"}`)
	})
	at := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.Header.Get("Authorization"), "Basic ") {
			given.Add(1)
		}
		w.Header().Set("Www-Authenticate", `Bearer realm="`+realm.server.URL+`/token",service="x"`)
		w.WriteHeader(http.StatusUnauthorized)
	})
	c := clientFor(t, func(o *registry.Options) {
		o.Keychain = keychain(registry.Credential{Username: "u", Password: "p", OwnHostOnly: true})
	}, realm, at)
	_, err := pull(t, c, at.ref(t, "acme/app:v1"))
	_ = problem(t, err, evidence.RegistryRefused)
	if given.Load() != 0 || len(realm.lines()) != 0 {
		t.Errorf("want the realm at another host left alone, got %v", realm.lines())
	}

	insecure := clientFor(t, func(o *registry.Options) {
		o.Keychain = keychain(registry.Credential{Username: "u", Password: "p", OwnHostOnly: true})
		o.InsecureHosts = []string{at.host}
	}, realm)
	_, err = pull(t, insecure, at.ref(t, "acme/app:v1"))
	if err == nil || given.Load() != 0 {
		t.Errorf("want nothing sent without verified TLS, got %d credentials and %v", given.Load(), err)
	}
}

func TestOperatorsGeneralPullSecrets(t *testing.T) {
	secrets := secretsOf(map[string][]byte{
		"a/own": config(map[string]string{"ghcr.io": "own"}), "sys/one": config(map[string]string{"ghcr.io": "one"}), "sys/two": config(map[string]string{"ghcr.io": "two"}),
	})
	k := registry.PullSecrets{Secrets: secrets, Operator: []evidence.SecretName{{Namespace: "sys", Name: "one"}, {Namespace: "sys", Name: "gone"}}}
	puller := evidence.Puller{Namespace: "a", PullSecrets: []string{"own"}, Operator: []evidence.SecretName{{Namespace: "sys", Name: "two"}, {Namespace: "sys", Name: "one"}}}
	got, err := k.Credentials(t.Context(), puller, imageref.MustParse("ghcr.io/acme/app").Repository())
	want := "own|two of the operator|one of the operator"
	if err != nil || strings.Join(names(got), "|") != want {
		t.Errorf("want %s, got %q and %v", want, names(got), err)
	}
	failing := registry.PullSecrets{Operator: k.Operator, Secrets: registry.SecretGetterFunc(func(context.Context, string, string) ([]byte, error) {
		return nil, &evidence.Problem{Reason: evidence.CredentialsFailed, Expected: "a Secret of a docker type", Got: `type "Opaque"`}
	})}
	_, err = failing.Credentials(t.Context(), evidence.Puller{}, imageref.MustParse("ghcr.io/acme/app").Repository())
	if p := problem(t, err, evidence.CredentialsFailed); p.Got != `type "Opaque"` || !strings.Contains(p.Path, "sys/one") {
		t.Errorf("want what the getter says kept, got %v", p)
	}
}

func FuzzReadHosts(f *testing.F) {
	f.Add("registries: [{host: docker.io, mirrors: [{host: mirror.example, prefix: hub, tags: true}]}]")
	f.Add("registries: [{host: 'a.example:5000', insecure: true, allowed: true}]")
	f.Add("a: &a [*a]")
	folder := f.TempDir()
	f.Fuzz(func(t *testing.T, content string) {
		file := write(t, folder, "registries.yaml", content)
		hosts, err := registry.ReadHosts(file, time.Now, nil)
		if (hosts == nil) == (err == nil) {
			t.Errorf("want content or an error, got %v and %v", hosts, err)
		}
	})
}
