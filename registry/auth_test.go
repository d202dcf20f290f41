package registry_test

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/registry"
)

var robot = registry.Credential{Username: "robot", Password: "secret"}

const robotBasic = "Basic cm9ib3Q6c2VjcmV0"

// tokenRegistry asks for a token from realm and takes any.
func tokenRegistry(realm func() string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer ") {
			w.Header().Set("Www-Authenticate", fmt.Sprintf(`Bearer realm=%q,service="registry.test",scope="repository:acme/app:pull"`, realm()))
			w.WriteHeader(401)
			return
		}
		serve(imageType, manifestJSON(r.URL.Path))(w, r)
	}
}

// realmAndRegistry serves both at one host.
func realmAndRegistry(t testing.TB, tokens http.HandlerFunc) *fake {
	t.Helper()
	var f *fake
	own := tokenRegistry(func() string { return f.server.URL + "/token" })
	f = startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			tokens(w, r)
			return
		}
		own(w, r)
	})
	return f
}

func giveToken(w http.ResponseWriter, _ *http.Request) {
	w.Write([]byte(`{"token":"t1","expires_in":300}`))
}

func withCredential(all ...registry.Credential) func(*registry.Options) {
	return func(o *registry.Options) { o.Keychain = keychain(all...) }
}

func TestTokenIsFetchedOnceAndSentAtOnce(t *testing.T) {
	f := realmAndRegistry(t, giveToken)
	c := clientFor(t, withCredential(robot), f)
	for _, name := range []string{"acme/app:1", "acme/app:2", "acme/other:1"} {
		if _, err := pull(t, c, f.ref(t, name)); err != nil {
			t.Fatal(err)
		}
	}
	token := func(repository string) string {
		return "GET /token?scope=repository%3Aacme%2F" + repository + "%3Apull&service=registry.test"
	}
	want := []string{
		"GET /v2/acme/app/manifests/1", token("app"), "GET /v2/acme/app/manifests/1",
		"GET /v2/acme/app/manifests/2",
		token("other"), "GET /v2/acme/other/manifests/1", // the realm is known by now
	}
	if diff := cmp.Diff(want, f.lines()); diff != "" {
		t.Errorf("requests (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"", robotBasic, "Bearer t1", "Bearer t1", robotBasic, "Bearer t1"}, f.authorizations()); diff != "" {
		t.Errorf("authorizations (-want +got):\n%s", diff)
	}
}

func TestTokenExpires(t *testing.T) {
	var fetched atomic.Int32
	f := realmAndRegistry(t, func(w http.ResponseWriter, r *http.Request) {
		fetched.Add(1)
		giveToken(w, r)
	})
	clock := newClock()
	c := clientFor(t, func(o *registry.Options) { o.Clock = clock.Now }, f)
	for i, step := range []struct {
		advance time.Duration
		fetched int32
	}{{0, 1}, {269 * time.Second, 1}, {2 * time.Second, 2}} {
		clock.Advance(step.advance)
		if _, err := pull(t, c, f.ref(t, "acme/app:1")); err != nil {
			t.Fatal(err)
		}
		if got := fetched.Load(); got != step.fetched {
			t.Errorf("step %d: tokens fetched: want %d, got %d", i, step.fetched, got)
		}
	}
}

// A registry may forget its tokens: one that it refuses is fetched again, once.
func TestRefusedTokenIsReplacedOnce(t *testing.T) {
	var good atomic.Value
	good.Store("t1")
	var given atomic.Int32
	var f *fake
	f = startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/token":
			fmt.Fprintf(w, `{"access_token":"t%d"}`, given.Add(1))
		case r.Header.Get("Authorization") != "Bearer "+fmt.Sprint(good.Load()):
			w.Header().Set("Www-Authenticate", `Bearer realm="`+f.server.URL+`/token"`)
			w.WriteHeader(401)
		default:
			serve(imageType, manifestJSON("x"))(w, r)
		}
	})
	c := clientFor(t, nil, f)
	if _, err := pull(t, c, f.ref(t, "acme/app:1")); err != nil {
		t.Fatal(err)
	}
	good.Store("t2")
	if _, err := pull(t, c, f.ref(t, "acme/app:1")); err != nil {
		t.Fatal(err)
	}
	good.Store("never")
	_, err := pull(t, c, f.ref(t, "acme/app:1"))
	wantReason(t, err, evidence.RegistryUnauthorized)
	if n := given.Load(); n != 3 {
		t.Errorf("tokens: want 3, got %d", n)
	}
}

func TestBasicAuthentication(t *testing.T) {
	f := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != robotBasic {
			w.Header().Add("Www-Authenticate", `Negotiate`)
			w.Header().Add("Www-Authenticate", `Basic realm="x"`)
			w.WriteHeader(401)
			return
		}
		serve(imageType, manifestJSON("x"))(w, r)
	})
	c := clientFor(t, withCredential(robot), f)
	for range 2 {
		if _, err := pull(t, c, f.ref(t, "acme/app:1")); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff([]string{"", robotBasic, robotBasic}, f.authorizations()); diff != "" {
		t.Errorf("authorizations (-want +got):\n%s", diff)
	}
	_, err := pull(t, clientFor(t, nil, f), f.ref(t, "acme/app:1"))
	wantReason(t, err, evidence.RegistryUnauthorized)
}

func TestIdentityTokenIsPosted(t *testing.T) {
	var form string
	f := realmAndRegistry(t, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		form = r.Method + " " + r.PostForm.Encode()
		giveToken(w, r)
	})
	c := clientFor(t, withCredential(registry.Credential{IdentityToken: "refresh"}), f)
	if _, err := pull(t, c, f.ref(t, "acme/app:1")); err != nil {
		t.Fatal(err)
	}
	want := "POST client_id=bonafide&grant_type=refresh_token&refresh_token=refresh&scope=repository%3Aacme%2Fapp%3Apull&service=registry.test"
	if diff := cmp.Diff(want, form); diff != "" {
		t.Errorf("token request (-want +got):\n%s", diff)
	}
}

func TestNextCredentialIsTriedAsKubeletDoes(t *testing.T) {
	f := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.Header.Get("Authorization") {
		case robotBasic:
			serve(imageType, manifestJSON("x"))(w, r)
		case "":
			w.Header().Set("Www-Authenticate", `Basic realm="x"`)
			w.WriteHeader(401)
		default:
			w.WriteHeader(404) // hides what may not be seen
		}
	})
	c := clientFor(t, withCredential(registry.Credential{Username: "old", Password: "x"}, robot), f)
	ref := f.ref(t, "acme/app:1")
	src := sourceFor(t, c, ref.Repository())
	for range 2 {
		if _, err := src.Manifest(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	old := "Basic " + base64.StdEncoding.EncodeToString([]byte("old:x"))
	if diff := cmp.Diff([]string{"", old, "", robotBasic, robotBasic}, f.authorizations()); diff != "" {
		t.Errorf("authorizations (-want +got):\n%s", diff)
	}
}

func TestR6CredentialsDoNotFollowRedirects(t *testing.T) {
	image := manifestJSON("x")
	elsewhere := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/challenge" {
			w.Header().Set("Www-Authenticate", `Basic realm="give it to me"`)
			w.WriteHeader(401)
			return
		}
		serve(imageType, image)(w, r)
	})
	f := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") == "" && !strings.HasPrefix(r.URL.Path, "/same"):
			w.Header().Set("Www-Authenticate", `Basic realm="x"`)
			w.WriteHeader(401)
		case strings.HasSuffix(r.URL.Path, "/away"):
			redirect(to(elsewhere.server.URL+"/bytes"))(w, r)
		case strings.HasSuffix(r.URL.Path, "/challenge"):
			redirect(to(elsewhere.server.URL+"/challenge"))(w, r)
		case strings.HasSuffix(r.URL.Path, "/back"):
			redirect(to(elsewhere.server.URL+"/back"))(w, r)
		case strings.HasSuffix(r.URL.Path, "/same"):
			redirect(to("/same/bytes"))(w, r)
		default:
			serve(imageType, image)(w, r)
		}
	})
	c := clientFor(t, withCredential(robot), f, elsewhere)

	if _, err := pull(t, c, f.ref(t, "acme/app:away")); err != nil {
		t.Fatal(err)
	}
	_, err := pull(t, c, f.ref(t, "acme/app:challenge"))
	wantReason(t, err, evidence.RegistryUnauthorized)
	for i, a := range elsewhere.authorizations() {
		if a != "" {
			t.Errorf("request %d to the other host: want no Authorization, got one", i)
		}
	}
	// On the registry itself it does follow.
	if _, err := pull(t, c, f.ref(t, "acme/app:same")); err != nil {
		t.Fatal(err)
	}
	all := f.authorizations()
	if last := all[len(all)-1]; last != robotBasic {
		t.Errorf("redirect on the same host: want the credential, got %q", last)
	}
}

// Once a chain has left the registry, a way back gets no credential.
func TestR6ReturningRedirectGetsNoCredential(t *testing.T) {
	var f *fake
	elsewhere := startTLS(t, func(w http.ResponseWriter, r *http.Request) { redirect(to(f.server.URL+"/returned"))(w, r) })
	f = startTLS(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/returned":
			serve(imageType, manifestJSON("x"))(w, r)
		case r.Header.Get("Authorization") == "":
			w.Header().Set("Www-Authenticate", `Basic realm="x"`)
			w.WriteHeader(401)
		default:
			redirect(to(elsewhere.server.URL))(w, r)
		}
	})
	if _, err := pull(t, clientFor(t, withCredential(robot), f, elsewhere), f.ref(t, "acme/app:1")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"", robotBasic, ""}, f.authorizations()); diff != "" {
		t.Errorf("authorizations (-want +got):\n%s", diff)
	}
}

func TestR6TokenRealmRules(t *testing.T) {
	cases := map[string]struct {
		reason string
		realm  func(own, other *fake) string
		named  bool // the operator names the other host
		want   evidence.Reason
	}{
		"SameHost":          {"the registry itself", func(own, _ *fake) string { return own.server.URL + "/token" }, false, ""},
		"OtherHostNamed":    {"a host that the operator names", func(_, other *fake) string { return other.server.URL + "/token" }, true, ""},
		"OtherLoopback":     {"another port of loopback is another host", func(_, other *fake) string { return other.server.URL + "/token" }, false, evidence.RegistryRefused},
		"Localhost":         {"by name", func(_, other *fake) string { return "https://localhost:" + other.url(t).Port() + "/token" }, false, evidence.RegistryRefused},
		"Metadata":          {"a cloud's metadata", func(_, _ *fake) string { return "https://169.254.169.254/token" }, false, evidence.RegistryRefused},
		"Private":           {"not public", func(_, _ *fake) string { return "https://10.0.0.1/token" }, false, evidence.RegistryRefused},
		"PlainHTTP":         {"not https", func(_, _ *fake) string { return "http://auth.example/token" }, false, evidence.RegistryRefused},
		"PlainHTTPSameHost": {"not https", func(own, _ *fake) string { return "http://" + own.host + "/token" }, false, evidence.RegistryRefused},
		"PlainHTTPNamed":    {"naming a host does not make it insecure", func(_, other *fake) string { return "http://" + other.host + "/token" }, true, evidence.RegistryRefused},
		"OtherScheme":       {"not https", func(_, _ *fake) string { return "ldap://auth.example/token" }, false, evidence.RegistryRefused},
		"UserInfo":          {"credentials of its own", func(own, _ *fake) string { return "https://a:b@" + own.host + "/token" }, false, evidence.RegistryRefused},
		"NoURL":             {"nonsense", func(_, _ *fake) string { return "token please" }, false, evidence.RegistryProtocol},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			other := startTLS(t, giveToken)
			var own *fake
			registryHandler := tokenRegistry(func() string { return tc.realm(own, other) })
			own = startTLS(t, func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/token" {
					giveToken(w, r)
					return
				}
				registryHandler(w, r)
			})
			c := clientFor(t, func(o *registry.Options) {
				o.Keychain = keychain(robot)
				if !tc.named {
					o.AllowedHosts = []string{own.host}
				}
			}, own, other)
			_, err := pull(t, c, own.ref(t, "acme/app:1"))
			if tc.want == "" && err != nil {
				t.Fatalf("%s: %v", tc.reason, err)
			}
			if tc.want != "" {
				wantReason(t, err, tc.want)
				if n := len(other.lines()); n != 0 {
					t.Errorf("%s: requests to the realm: want none, got %d", tc.reason, n)
				}
			}
		})
	}
}

// The rules for realms hold at a workstation too, whose registries may be
// anywhere.
func TestR6TokenRealmAtWorkstation(t *testing.T) {
	other := startTLS(t, giveToken)
	own := startTLS(t, tokenRegistry(func() string { return other.server.URL + "/token" }))
	c := clientFor(t, func(o *registry.Options) {
		o.Keychain, o.AllowedHosts, o.Workstation = keychain(robot), nil, true
	}, own, other)
	_, err := pull(t, c, own.ref(t, "acme/app:1"))
	wantReason(t, err, evidence.RegistryRefused)
	if n := len(other.lines()); n != 0 {
		t.Errorf("requests to the realm: want none, got %d", n)
	}
}

func TestR6TokenRealmMayNotRedirect(t *testing.T) {
	other := startTLS(t, giveToken)
	f := realmAndRegistry(t, redirect(to(other.server.URL)))
	_, err := pull(t, clientFor(t, withCredential(robot), f, other), f.ref(t, "acme/app:1"))
	wantReason(t, err, evidence.RegistryRefused)
	if n := len(other.lines()); n != 0 {
		t.Errorf("requests to the redirect's target: want none, got %d", n)
	}
}

func TestBadTokenRealms(t *testing.T) {
	cases := map[string]struct {
		reason string
		tokens http.HandlerFunc
		want   evidence.Reason
	}{
		"Refuses":      {"wrong password", status(401), evidence.RegistryUnauthorized},
		"BadGrant":     {"OAuth 2 refuses with 400", status(400), evidence.RegistryUnauthorized},
		"Gone":         {"no realm is no sign of no image", status(404), evidence.RegistryUnauthorized},
		"RateLimited":  {"429", status(429), evidence.RegistryRateLimited},
		"Broken":       {"500", status(500), evidence.RegistryUnavailable},
		"NotJSON":      {"a page", serve("text/html", []byte("<html>")), evidence.RegistryProtocol},
		"Empty":        {"no token", serve("application/json", []byte(`{}`)), evidence.RegistryProtocol},
		"HeaderInject": {"a token that would split the header", serve("application/json", []byte(`{"token":"a\r\nX: y"}`)), evidence.RegistryProtocol},
		"Endless":      {"a token without end", endless([]byte(strings.Repeat(" ", 4096))), evidence.LimitExceeded},
		"Slow":         {"a realm that takes its time", slowly, evidence.RegistryTimeout},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := realmAndRegistry(t, tc.tokens)
			c := clientFor(t, func(o *registry.Options) {
				if tc.want == evidence.RegistryTimeout { // the others answer, on a busy machine too
					o.RequestTimeout = 300 * time.Millisecond
				}
			}, f)
			_, err := pull(t, c, f.ref(t, "acme/app:1"))
			wantReason(t, err, tc.want)
		})
	}
}

func TestR36TokensAreKeptPerCredential(t *testing.T) {
	f := realmAndRegistry(t, func(w http.ResponseWriter, r *http.Request) {
		user, _, _ := r.BasicAuth()
		fmt.Fprintf(w, `{"token":"token-of-%s"}`, user)
	})
	users := map[string]registry.Credential{"a": {Username: "alice", Password: "1"}, "b": {Username: "bob", Password: "2"}}
	c := clientFor(t, func(o *registry.Options) { o.Keychain = byNamespace(users) }, f)
	ref := f.ref(t, "acme/app:1")
	identities := map[string]string{}
	for _, namespace := range []string{"a", "b", "a", "none"} {
		src, identity, err := c.Source(t.Context(), evidence.Puller{Namespace: namespace}, ref.Repository())
		if err != nil {
			t.Fatal(err)
		}
		if before, seen := identities[namespace]; seen && before != identity {
			t.Errorf("identity of %q: want it stable, got another", namespace)
		}
		identities[namespace] = identity
		if _, err := src.Manifest(t.Context(), ref); err != nil {
			t.Fatal(err)
		}
	}
	if identities["a"] == identities["b"] || identities["a"] == "" || identities["none"] != "" {
		t.Errorf("identities: want one per credential and none for the anonymous, got %q", identities)
	}
	var used []string
	for _, a := range f.authorizations() {
		if token, found := strings.CutPrefix(a, "Bearer "); found {
			used = append(used, token)
		}
	}
	if diff := cmp.Diff([]string{"token-of-alice", "token-of-bob", "token-of-alice", "token-of-"}, used); diff != "" {
		t.Errorf("tokens used (-want +got):\n%s", diff)
	}
}

func TestR38TokenFlightOutlivesItsFirstCaller(t *testing.T) {
	asked, release := make(chan struct{}), make(chan struct{})
	var fetched atomic.Int32
	f := realmAndRegistry(t, func(w http.ResponseWriter, r *http.Request) {
		if fetched.Add(1) == 1 {
			close(asked)
		}
		<-release
		giveToken(w, r)
	})
	ref := f.ref(t, "acme/app:1")
	src := sourceFor(t, clientFor(t, nil, f), ref.Repository())

	ctx, cancel := context.WithCancel(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { _, err := src.Manifest(ctx, ref); first <- err }()
	<-asked
	go func() { _, err := src.Manifest(t.Context(), ref); second <- err }()
	cancel()
	wantReason(t, <-first, evidence.Cancelled)
	close(release)
	if err := <-second; err != nil {
		t.Errorf("second caller: want the token of the flight, got %v", err)
	}
	if n := fetched.Load(); n != 1 {
		t.Errorf("tokens fetched: want 1, got %d", n)
	}
}
