package registry_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/registry"
)

// names prints credentials with whose they are.
func names(all []registry.Credential) []string {
	var got []string
	for _, c := range all {
		name := c.Username
		if c.Operator {
			name += " of the operator"
		}
		got = append(got, name)
	}
	return got
}

func TestOperatorsPullSecrets(t *testing.T) {
	secrets := secretsOf(map[string][]byte{
		"a/one":     config(map[string]string{"ghcr.io": "one"}),
		"a/two":     config(map[string]string{"ghcr.io": "shared"}),
		"sys/one":   config(map[string]string{"ghcr.io": "shared", "ghcr.io/acme": "team"}),
		"sys/other": config(map[string]string{"quay.io": "x"}),
		"sys/bad":   []byte("{"),
		"sys/exec":  []byte(`{"credsStore":"evil"}`),
	})
	system := func(names ...string) []evidence.SecretName {
		var all []evidence.SecretName
		for _, name := range names {
			all = append(all, evidence.SecretName{Namespace: "sys", Name: name})
		}
		return all
	}
	accounts := func(context.Context, string, string) ([]string, error) { return []string{"one"}, nil }
	cases := map[string]struct {
		reason string
		puller evidence.Puller
		want   []string
		failed bool
	}{
		"Alone":          {"nobody else has any", evidence.Puller{Operator: system("one")}, []string{"team of the operator", "shared of the operator"}, false},
		"AfterTheOwn":    {"the object's own come first, however specific", evidence.Puller{Namespace: "a", PullSecrets: []string{"one"}, Operator: system("one")}, []string{"one", "team of the operator", "shared of the operator"}, false},
		"SameContent":    {"who has the credential may see what it reads", evidence.Puller{Namespace: "a", PullSecrets: []string{"two"}, Operator: system("one")}, []string{"shared", "team of the operator"}, false},
		"Twice":          {"one credential is tried once", evidence.Puller{Operator: system("one", "one")}, []string{"team of the operator", "shared of the operator"}, false},
		"ServiceAccount": {"the operator's are none of the object's", evidence.Puller{Namespace: "a", ServiceAccount: "default", Operator: system("one")}, []string{"one", "team of the operator", "shared of the operator"}, false},
		"Absent":         {"an absent secret is none", evidence.Puller{Operator: system("gone", "one")}, []string{"team of the operator", "shared of the operator"}, false},
		"OtherHost":      {"for another registry", evidence.Puller{Operator: system("other")}, nil, false},
		"OwnNamespace":   {"a name says its namespace", evidence.Puller{Namespace: "sys", PullSecrets: []string{"gone"}, Operator: []evidence.SecretName{{Namespace: "a", Name: "one"}}}, []string{"one of the operator"}, false},
		"Helper":         {"no program is run", evidence.Puller{Operator: system("exec")}, nil, false},
		"Malformed":      {"a problem", evidence.Puller{Namespace: "a", PullSecrets: []string{"one"}, Operator: system("bad")}, nil, true},
		"Unreadable":     {"could not be told", evidence.Puller{Operator: system("boom")}, nil, true},
		"TooMany":        {"bounded", evidence.Puller{Operator: system(make([]string, 33)...)}, nil, true},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			k := registry.PullSecrets{Secrets: secrets, ServiceAccount: accounts}
			got, err := k.Credentials(t.Context(), tc.puller, imageref.MustParse("ghcr.io/acme/app").Repository())
			if tc.failed {
				if p := problem(t, err, evidence.CredentialsFailed); !strings.Contains(p.Path, "policy") {
					t.Errorf("path: want the policy named, got %q", p.Path)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, names(got)); diff != "" {
				t.Errorf("%s: credentials (-want +got):\n%s", tc.reason, diff)
			}
		})
	}
}

// operators asks a source as its consumer does.
func operators(t *testing.T, src evidence.Source) bool {
	t.Helper()
	s, is := src.(interface{ OperatorCredentials() bool })
	if !is {
		t.Fatal("want a source that knows whose credentials it has")
	}
	return s.OperatorCredentials()
}

func TestR36OperatorCredentials(t *testing.T) {
	own, theirs := registry.Credential{Username: "own"}, registry.Credential{Username: "operator", Operator: true}
	cases := map[string]struct {
		reason      string
		credentials []registry.Credential
		workstation bool
		want        bool
	}{
		"Anonymous":         {reason: "nobody's"},
		"Own":               {reason: "the puller's", credentials: []registry.Credential{own}},
		"Operators":         {reason: "not the puller's", credentials: []registry.Credential{theirs}, want: true},
		"OwnAndOperators":   {reason: "which one is accepted is not known yet", credentials: []registry.Credential{own, theirs}, want: true},
		"Workstation":       {reason: "the person is the operator", credentials: []registry.Credential{theirs}, workstation: true},
		"AnonymousOperator": {reason: "an operator without credentials has none", credentials: []registry.Credential{{Operator: true}}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			c := clientFor(t, func(o *registry.Options) {
				o.Keychain, o.Workstation = keychain(tc.credentials...), tc.workstation
			})
			src, _, err := c.Source(t.Context(), evidence.Puller{}, imageref.MustParse("ghcr.io/acme/app").Repository())
			if err != nil {
				t.Fatal(err)
			}
			if got := operators(t, src); got != tc.want {
				t.Errorf("%s: want %t, got %t", tc.reason, tc.want, got)
			}
		})
	}
	t.Run("DockerConfig", func(t *testing.T) {
		c := clientFor(t, func(o *registry.Options) {
			o.Keychain = registry.NewDockerConfig(writeConfig(t, `{"auths":{"ghcr.io":{"auth":"YTpi"}}}`), time.Now)
		})
		src, _, err := c.Source(t.Context(), evidence.Puller{Namespace: "a"}, imageref.MustParse("ghcr.io/acme/app").Repository())
		if err != nil {
			t.Fatal(err)
		}
		if !operators(t, src) {
			t.Error("want the node's own credentials to be the operator's")
		}
	})
}

// TestR36WhoseCredentialWasAccepted has a registry that lets one user in.
func TestR36WhoseCredentialWasAccepted(t *testing.T) {
	for accepted, want := range map[string]bool{"own": false, "operator": true} {
		t.Run(accepted, func(t *testing.T) {
			image := serve(imageType, manifestJSON("app"))
			f := startTLS(t, func(w http.ResponseWriter, r *http.Request) {
				if user, _, _ := r.BasicAuth(); user != accepted {
					w.Header().Set("WWW-Authenticate", `Basic realm="r"`)
					w.WriteHeader(http.StatusUnauthorized)
					return
				}
				image(w, r)
			})
			c := clientFor(t, func(o *registry.Options) {
				o.Keychain = keychain(registry.Credential{Username: "own"}, registry.Credential{Username: "operator", Operator: true})
			}, f)
			ref := f.ref(t, "acme/app:v1")
			src, _, err := c.Source(t.Context(), evidence.Puller{}, ref.Repository())
			if err != nil {
				t.Fatal(err)
			}
			if !operators(t, src) {
				t.Error("want the operator's until the registry has said whose are good")
			}
			if _, err := src.Manifest(t.Context(), ref); err != nil {
				t.Fatal(err)
			}
			if got := operators(t, src); got != want {
				t.Errorf("want %t, got %t", want, got)
			}
		})
	}
}

func TestR36OperatorIsNoContent(t *testing.T) {
	own, theirs := registry.Credential{Username: "a", Password: "b"}, registry.Credential{Username: "a", Password: "b", Operator: true}
	if own.Identity() != theirs.Identity() {
		t.Error("want one identity for one content")
	}
	if !(registry.Credential{Operator: true}).IsZero() {
		t.Error("want a credential without content to be anonymous")
	}
	if own.String() != theirs.String() {
		t.Error("want prints that do not tell")
	}
}
