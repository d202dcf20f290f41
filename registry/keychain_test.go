package registry_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/registry"
)

var errBoom = errors.New("boom")

// config writes a docker configuration: server → username.
func config(users map[string]string) []byte {
	auths := map[string]any{}
	for server, user := range users {
		auths[server] = map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(user + ":pw"))}
	}
	raw, err := json.Marshal(map[string]any{"auths": auths})
	if err != nil {
		panic(err)
	}
	return raw
}

func usernames(all []registry.Credential) []string {
	var names []string
	for _, c := range all {
		names = append(names, c.Username)
	}
	return names
}

func TestConfigMatchesAsKubeletDoes(t *testing.T) {
	cases := map[string]struct {
		reason string
		config map[string]string
		image  string
		want   []string
	}{
		"Host":           {"the host alone", map[string]string{"ghcr.io": "a", "quay.io": "b"}, "ghcr.io/acme/app", []string{"a"}},
		"LongestFirst":   {"the most specific first", map[string]string{"ghcr.io": "host", "ghcr.io/acme": "team", "ghcr.io/acme/app": "app"}, "ghcr.io/acme/app", []string{"app", "team", "host"}},
		"OtherPath":      {"another team's", map[string]string{"ghcr.io/other": "o"}, "ghcr.io/acme/app", nil},
		"Scheme":         {"a URL", map[string]string{"https://ghcr.io": "a"}, "ghcr.io/acme/app", []string{"a"}},
		"V2":             {"the path of the API", map[string]string{"https://ghcr.io/v2/": "a"}, "ghcr.io/acme/app", []string{"a"}},
		"V1Path":         {"before a path", map[string]string{"https://ghcr.io/v1/acme": "a"}, "ghcr.io/acme/app", []string{"a"}},
		"Case":           {"hosts have no case", map[string]string{"GHCR.io": "a"}, "ghcr.io/acme/app", []string{"a"}},
		"DefaultPort":    {"443 is the default", map[string]string{"ghcr.io:443": "a"}, "ghcr.io/acme/app", []string{"a"}},
		"OtherPort":      {"another port is another registry", map[string]string{"ghcr.io:5000": "a"}, "ghcr.io/acme/app", nil},
		"Port":           {"the same port", map[string]string{"r.example:5000": "a"}, "r.example:5000/app", []string{"a"}},
		"Wildcard":       {"a label", map[string]string{"*.azurecr.io": "a"}, "acme.azurecr.io/app", []string{"a"}},
		"WildcardPart":   {"part of a label", map[string]string{"acme-*.azurecr.io": "a"}, "acme-1.azurecr.io/app", []string{"a"}},
		"WildcardLabels": {"not two labels", map[string]string{"*.azurecr.io": "a"}, "a.b.azurecr.io/app", nil},
		"WildcardSuffix": {"not another domain", map[string]string{"*.azurecr.io": "a"}, "acme.azurecr.io.evil.example/app", nil},
		"WildcardPort":   {"the port too", map[string]string{"*.r.example:5000": "a"}, "x.r.example:5001/app", nil},
		"BareStar":       {"one label, so no registry", map[string]string{"*": "a"}, "ghcr.io/acme/app", nil},
		"DockerHub":      {"the name that docker login writes", map[string]string{"https://index.docker.io/v1/": "a"}, "nginx", []string{"a"}},
		"DockerHubShort": {"its short name", map[string]string{"docker.io": "a"}, "nginx", []string{"a"}},
		"NotDockerHub":   {"not a name that ends like it", map[string]string{"evil-docker.io": "a"}, "nginx", nil},
		"Suffix":         {"not a name that begins like it", map[string]string{"ghcr.io.evil.example": "a"}, "ghcr.io/acme/app", nil},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := registry.ConfigCredentials(config(tc.config), refOf(t, tc.image).Repository())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, usernames(got)); diff != "" {
				t.Errorf("%s: usernames (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestConfigForms(t *testing.T) {
	cases := map[string]struct {
		reason string
		config string
		want   registry.Credential
		bad    bool
	}{
		"Auth":          {"base64", `{"auths":{"ghcr.io":{"auth":"YTpi"}}}`, registry.Credential{Username: "a", Password: "b"}, false},
		"AuthNoPadding": {"without padding", `{"auths":{"ghcr.io":{"auth":"YTpiYg"}}}`, registry.Credential{Username: "a", Password: "bb"}, false},
		"ColonPassword": {"a password with a colon", `{"auths":{"ghcr.io":{"auth":"YTpiOmM="}}}`, registry.Credential{Username: "a", Password: "b:c"}, false},
		"Fields":        {"in the clear", `{"auths":{"ghcr.io":{"username":"a","password":"b"}}}`, registry.Credential{Username: "a", Password: "b"}, false},
		"Identity":      {"an identity token", `{"auths":{"ghcr.io":{"identitytoken":"t"}}}`, registry.Credential{IdentityToken: "t"}, false},
		"RegistryToken": {"a registry token", `{"auths":{"ghcr.io":{"registrytoken":"t"}}}`, registry.Credential{RegistryToken: "t"}, false},
		"Legacy":        {".dockercfg", `{"ghcr.io":{"auth":"YTpi"}}`, registry.Credential{Username: "a", Password: "b"}, false},
		"EmptyEntry":    {"as docker writes beside a store", `{"auths":{"ghcr.io":{}}}`, registry.Credential{}, false},
		"Empty":         {"nothing", `{}`, registry.Credential{}, false},
		"NotJSON":       {"malformed", `auths: ghcr.io`, registry.Credential{}, true},
		"NotBase64":     {"malformed", `{"auths":{"ghcr.io":{"auth":"%%%"}}}`, registry.Credential{}, true},
		"NoColon":       {"malformed", `{"auths":{"ghcr.io":{"auth":"YWI="}}}`, registry.Credential{}, true},
		"List":          {"malformed", `{"auths":["ghcr.io"]}`, registry.Credential{}, true},
		"HeaderSplit":   {"a token that would split a header", `{"auths":{"ghcr.io":{"registrytoken":"a\nb: c"}}}`, registry.Credential{}, true},
		"TooLong":       {"bounded", `{"auths":{}}` + strings.Repeat(" ", 1<<20), registry.Credential{}, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := registry.ConfigCredentials([]byte(tc.config), imageref.MustParse("ghcr.io/acme/app").Repository())
			if (err != nil) != tc.bad {
				t.Fatalf("%s: want an error %t, got %v", tc.reason, tc.bad, err)
			}
			var first registry.Credential
			if len(got) > 0 {
				first = got[0]
			}
			if first != tc.want {
				t.Errorf("%s: got another credential", tc.reason)
			}
		})
	}
}

func secretsOf(all map[string][]byte) registry.SecretGetter {
	return registry.SecretGetterFunc(func(_ context.Context, namespace, name string) ([]byte, error) {
		if name == "boom" {
			return nil, errBoom
		}
		return all[namespace+"/"+name], nil
	})
}

func TestPullSecrets(t *testing.T) {
	secrets := secretsOf(map[string][]byte{
		"a/one":  config(map[string]string{"ghcr.io": "one", "quay.io": "x"}),
		"a/two":  config(map[string]string{"ghcr.io": "two", "ghcr.io/acme": "team"}),
		"a/bad":  []byte("{"),
		"a/sa":   config(map[string]string{"ghcr.io": "sa"}),
		"a/exec": []byte(`{"credsStore":"evil","credHelpers":{"ghcr.io":"evil"}}`),
		"b/one":  config(map[string]string{"ghcr.io": "other-namespace"}),
	})
	accounts := func(_ context.Context, _, name string) ([]string, error) {
		if name == "boom" {
			return nil, errBoom
		}
		return []string{"sa"}, nil
	}
	many := make([]string, 100)
	cases := map[string]struct {
		reason string
		puller evidence.Puller
		want   []string
		failed bool
	}{
		"One":             {"a secret", evidence.Puller{Namespace: "a", PullSecrets: []string{"one"}}, []string{"one"}, false},
		"Several":         {"the most specific first, then in the object's order", evidence.Puller{Namespace: "a", PullSecrets: []string{"one", "two"}}, []string{"team", "one", "two"}, false},
		"Absent":          {"an absent secret is none", evidence.Puller{Namespace: "a", PullSecrets: []string{"gone"}}, nil, false},
		"AbsentAndOne":    {"the others count", evidence.Puller{Namespace: "a", PullSecrets: []string{"gone", "one"}}, []string{"one"}, false},
		"ServiceAccount":  {"where the object names none", evidence.Puller{Namespace: "a", ServiceAccount: "default"}, []string{"sa"}, false},
		"ObjectFirst":     {"the object's alone", evidence.Puller{Namespace: "a", ServiceAccount: "default", PullSecrets: []string{"one"}}, []string{"one"}, false},
		"OtherNamespace":  {"a namespace has its own", evidence.Puller{Namespace: "b", PullSecrets: []string{"one"}}, []string{"other-namespace"}, false},
		"Helper":          {"a tenant's helper is not run", evidence.Puller{Namespace: "a", PullSecrets: []string{"exec"}}, nil, false},
		"Nobody":          {"no puller", evidence.Puller{}, nil, false},
		"Malformed":       {"a problem", evidence.Puller{Namespace: "a", PullSecrets: []string{"bad"}}, nil, true},
		"MalformedBeside": {"a problem, whatever the others hold", evidence.Puller{Namespace: "a", PullSecrets: []string{"one", "bad"}}, nil, true},
		"Unreadable":      {"could not be told", evidence.Puller{Namespace: "a", PullSecrets: []string{"boom"}}, nil, true},
		"AccountFails":    {"could not be told", evidence.Puller{Namespace: "a", ServiceAccount: "boom"}, nil, true},
		"TooMany":         {"bounded", evidence.Puller{Namespace: "a", PullSecrets: many}, nil, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			k := registry.PullSecrets{Secrets: secrets, ServiceAccount: accounts}
			got, err := k.Credentials(t.Context(), tc.puller, imageref.MustParse("ghcr.io/acme/app").Repository())
			if tc.failed {
				wantReason(t, err, evidence.CredentialsFailed)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, usernames(got)); diff != "" {
				t.Errorf("%s: usernames (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

func TestKeychainErrorsAreClassified(t *testing.T) {
	c := clientFor(t, func(o *registry.Options) {
		o.Keychain = registry.KeychainFunc(func(context.Context, evidence.Puller, imageref.Repository) ([]registry.Credential, error) {
			return nil, errBoom
		})
	})
	_, _, err := c.Source(t.Context(), evidence.Puller{}, imageref.MustParse("ghcr.io/acme/app").Repository())
	if p := problem(t, err, evidence.CredentialsFailed); p.Host != "ghcr.io" {
		t.Errorf("host: want ghcr.io, got %q", p.Host)
	}
}

func TestMultiTakesTheFirstThatHasAny(t *testing.T) {
	alice, bob := registry.Credential{Username: "alice"}, registry.Credential{Username: "bob"}
	failing := registry.KeychainFunc(func(context.Context, evidence.Puller, imageref.Repository) ([]registry.Credential, error) {
		return nil, errBoom
	})
	r := imageref.MustParse("ghcr.io/acme/app").Repository()
	got, err := registry.Multi(keychain(), keychain(alice), keychain(bob), failing).Credentials(t.Context(), evidence.Puller{}, r)
	if err != nil || len(got) != 1 || got[0] != alice {
		t.Errorf("want the second keychain's, got %v, %v", usernames(got), err)
	}
	if _, err := registry.Multi(failing, keychain(alice)).Credentials(t.Context(), evidence.Puller{}, r); !errors.Is(err, errBoom) {
		t.Errorf("want the error of the first, got %v", err)
	}
}

func TestR36IdentityIsOfTheContent(t *testing.T) {
	same := registry.Credential{Username: "a", Password: "bc"}
	if same.Identity() != (registry.Credential{Username: "a", Password: "bc"}).Identity() {
		t.Error("equal credentials: want one identity, got two")
	}
	seen := map[string]registry.Credential{}
	for _, c := range []registry.Credential{
		{}, {Username: "a"}, {Password: "a"}, {IdentityToken: "a"}, {RegistryToken: "a"}, same, {Username: "ab", Password: "c"},
	} {
		if _, twice := seen[c.Identity()]; twice {
			t.Errorf("different credentials: want two identities, got one twice")
		}
		seen[c.Identity()] = c
	}
	if (registry.Credential{}).Identity() != "" {
		t.Error("anonymous: want no identity")
	}
}

func TestR47CredentialDoesNotPrint(t *testing.T) {
	c := registry.Credential{Username: "robot-name", Password: "hunter2", IdentityToken: "idtok", RegistryToken: "regtok"}
	encoded, err := json.Marshal(map[string]any{"c": c, "p": &c})
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "credential", c, "all", []registry.Credential{c})
	for _, text := range []string{
		fmt.Sprint(c), fmt.Sprintf("%v %+v %#v %s %q %x", c, c, c, c, c, c), fmt.Sprintf("%+v %#v", []registry.Credential{c}, &c),
		fmt.Sprintf("%+v", struct{ C registry.Credential }{c}), string(encoded), log.String(),
	} {
		for _, secret := range []string{"robot-name", "hunter2", "idtok", "regtok", fmt.Sprintf("%x", "hunter2")} {
			if strings.Contains(text, secret) {
				t.Errorf("want no secret, got %q", text)
			}
		}
	}
}

// helper puts a credential helper into the path.
func helper(t testing.TB, name, script string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "docker-credential-"+name), []byte("#!/bin/sh\n"+script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
}

func writeConfig(t testing.TB, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "config.json")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestDockerConfig(t *testing.T) {
	const answers = `read server; echo "$server" >>"$HELPER_LOG"
case "$server" in
ghcr.io) echo '{"ServerURL":"ghcr.io","Username":"from-helper","Secret":"pw"}';;
acr.example) echo '{"ServerURL":"acr.example","Username":"<token>","Secret":"refresh"}';;
https://index.docker.io/v1/) echo '{"Username":"hub","Secret":"pw"}';;
broken.example) echo 'secret-in-output'; exit 1;;
*) echo 'credentials not found in native keychain'; exit 1;;
esac
`
	cases := map[string]struct {
		reason string
		config string
		image  string
		want   []registry.Credential
		failed bool
	}{
		"NoHelper":    {"the file", `{"auths":{"ghcr.io":{"auth":"YTpi"}}}`, "ghcr.io/a/b", []registry.Credential{{Username: "a", Password: "b"}}, false},
		"Helper":      {"a helper for the host", `{"credHelpers":{"ghcr.io":"test"}}`, "ghcr.io/a/b", []registry.Credential{{Username: "from-helper", Password: "pw"}}, false},
		"Store":       {"a store for all", `{"credsStore":"test","auths":{"ghcr.io":{}}}`, "ghcr.io/a/b", []registry.Credential{{Username: "from-helper", Password: "pw"}}, false},
		"Token":       {"an identity token", `{"credsStore":"test"}`, "acr.example/b", []registry.Credential{{IdentityToken: "refresh"}}, false},
		"DockerHub":   {"the name that docker login uses", `{"credsStore":"test"}`, "nginx", []registry.Credential{{Username: "hub", Password: "pw"}}, false},
		"NotInStore":  {"then the file", `{"credsStore":"test","auths":{"quay.io":{"auth":"YTpi"}}}`, "quay.io/a/b", []registry.Credential{{Username: "a", Password: "b"}}, false},
		"Unknown":     {"none at all", `{"credsStore":"test"}`, "quay.io/a/b", nil, false},
		"OtherHost":   {"a helper for another host", `{"credHelpers":{"quay.io":"test"}}`, "ghcr.io/a/b", nil, false},
		"Broken":      {"a helper that fails", `{"credsStore":"test"}`, "broken.example/a", nil, true},
		"Missing":     {"a helper that is not installed", `{"credsStore":"not-installed"}`, "ghcr.io/a/b", nil, true},
		"PathAsName":  {"a helper is no path", `{"credsStore":"x/../../evil"}`, "ghcr.io/a/b", nil, true},
		"BadFile":     {"malformed", `{`, "ghcr.io/a/b", nil, true},
		"NothingElse": {"no credentials", `{"currentContext":"x"}`, "ghcr.io/a/b", nil, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("HELPER_LOG", filepath.Join(t.TempDir(), "log"))
			helper(t, "test", answers)
			k := registry.NewDockerConfig(writeConfig(t, tc.config), time.Now)
			got, err := k.Credentials(t.Context(), evidence.Puller{}, refOf(t, tc.image).Repository())
			if tc.failed {
				if p := problem(t, err, evidence.CredentialsFailed); strings.Contains(p.Error(), "secret-in-output") {
					t.Errorf("error: want nothing that the helper printed, got %q", p)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for i := range tc.want {
				tc.want[i].Operator = true // R36: no puller's own
			}
			if !cmp.Equal(tc.want, got) {
				t.Errorf("%s: got another credential: %q", tc.reason, usernames(got))
			}
		})
	}
}

func TestDockerConfigAsksAHelperOncePerMinute(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	t.Setenv("HELPER_LOG", log)
	helper(t, "test", `read server; echo asked >>"$HELPER_LOG"; echo '{"Username":"u","Secret":"s"}'`)
	clock := newClock()
	k := registry.NewDockerConfig(writeConfig(t, `{"credsStore":"test"}`), clock.Now)
	r := imageref.MustParse("ghcr.io/acme/app").Repository()
	for i, step := range []struct {
		advance time.Duration
		asked   int
	}{{0, 1}, {59 * time.Second, 1}, {2 * time.Second, 2}} {
		clock.Advance(step.advance)
		if _, err := k.Credentials(t.Context(), evidence.Puller{}, r); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(log)
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(text), "asked"); n != step.asked {
			t.Errorf("step %d: runs: want %d, got %d", i, step.asked, n)
		}
	}
}

func TestDockerConfigPlaces(t *testing.T) {
	r := imageref.MustParse("ghcr.io/acme/app").Repository()
	file := writeConfig(t, `{"auths":{"ghcr.io":{"auth":"YTpi"}}}`)
	t.Setenv("DOCKER_CONFIG", filepath.Dir(file))
	got, err := registry.NewDockerConfig("", time.Now).Credentials(t.Context(), evidence.Puller{}, r)
	if err != nil || len(got) != 1 {
		t.Errorf("$DOCKER_CONFIG: want its credential, got %d, %v", len(got), err)
	}
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	got, err = registry.NewDockerConfig("", time.Now).Credentials(t.Context(), evidence.Puller{}, r)
	if err != nil || len(got) != 0 {
		t.Errorf("no file: want no credentials, got %d, %v", len(got), err)
	}
}
