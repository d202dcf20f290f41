package registry_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/registry"
)

// auths writes a docker configuration with an entry of each server.
func auths(t testing.TB, servers ...string) []byte {
	t.Helper()
	all := map[string]map[string]string{}
	for i, server := range servers {
		all[server] = map[string]string{"username": fmt.Sprint("u", i), "password": "pw"}
	}
	raw, err := json.Marshal(map[string]any{"auths": all})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func servers(n int, format string) []string {
	all := make([]string, n)
	for i := range all {
		all[i] = fmt.Sprintf(format, i)
	}
	return all
}

// padded is a docker configuration of this length.
func padded(content []byte, length int) []byte {
	return append(slices.Clone(content), strings.Repeat(" ", length-len(content))...)
}

// The author of a Pod writes its Secrets, which are read for each of its images.
func TestR1PullSecretsOfAPodAreBoundedTogether(t *testing.T) {
	const most = 256 << 10
	one := auths(t, "ghcr.io")
	secrets := map[string][]byte{
		"a/largest": padded(one, most), "a/larger": padded(one, most+1), "a/half": padded(one, most/2), "a/rest": padded(one, most/2), "a/byte": padded([]byte("{}"), most/2+1),
		"a/registries": auths(t, servers(1024, "r%d.test")...), "a/moreRegistries": auths(t, servers(1025, "r%d.test")...), "a/one": one,
		"a/manyOfOne": auths(t, servers(1000, "ghcr.io/a%d")...),
	}
	cases := map[string]struct {
		names  []string
		failed bool
	}{
		"Largest":          {[]string{"largest"}, false},
		"Larger":           {[]string{"larger"}, true},
		"Together":         {[]string{"half", "rest"}, false},
		"TogetherLarger":   {[]string{"half", "byte"}, true},
		"Again":            {[]string{"half", "half", "half"}, true},
		"Registries":       {[]string{"registries"}, false},
		"MoreRegistries":   {[]string{"moreRegistries"}, true},
		"RegistriesAndOne": {[]string{"registries", "one"}, true},
	}
	for name, tc := range cases {
		for _, whose := range []string{"Puller", "Policy", "Operator"} {
			t.Run(name+whose, func(t *testing.T) {
				k, puller := registry.PullSecrets{Secrets: secretsOf(secrets)}, evidence.Puller{Namespace: "a"}
				for _, n := range tc.names {
					secret := evidence.SecretName{Namespace: "a", Name: n}
					switch whose {
					case "Puller":
						puller.PullSecrets = append(puller.PullSecrets, n)
					case "Policy":
						puller.Operator = append(puller.Operator, secret)
					case "Operator":
						k.Operator = append(k.Operator, secret)
					}
				}
				_, err := k.Credentials(t.Context(), puller, imageref.MustParse("ghcr.io/acme/app").Repository())
				if !tc.failed && err != nil {
					t.Fatal(err)
				}
				if tc.failed {
					wantReason(t, err, evidence.CredentialsFailed)
				}
			})
		}
	}
}

// Of many that match, those that are tried are taken, the most specific first, and
// the operator's come after the Pod's.
func TestR1CredentialsForOneRepositoryAreBounded(t *testing.T) {
	var stars []string
	for i := range 20 {
		stars = append(stars, "ghcr.io/"+strings.Repeat("x", i))
	}
	secrets := secretsOf(map[string][]byte{"a/many": auths(t, stars...), "a/two": auths(t, "ghcr.io", "ghcr.io/x"), "s/one": auths(t, "*.io")})
	k := registry.PullSecrets{Secrets: secrets, Operator: []evidence.SecretName{{Namespace: "s", Name: "one"}}}
	repository := imageref.MustParse("ghcr.io/xxxxxxxxxxxxxxxxxxxxxxxxx").Repository()
	for name, want := range map[string]string{
		"many": "u19|u18|u17|u16|u15|u14|u13|u12|u0 of the operator",
		"two":  "u1|u0", // which the operator's is too
	} {
		got, err := k.Credentials(t.Context(), evidence.Puller{Namespace: "a", PullSecrets: []string{name}}, repository)
		if names := strings.Join(names(got), "|"); err != nil || names != want {
			t.Errorf("%s: want %s, got %s and %v", name, want, names, err)
		}
	}
}

// A tenant's Secret gives a host that the tenant controls nothing that others
// wrote, however its entries are spelled.
func TestR6OthersCredentialsStayAwayFromATenantsHost(t *testing.T) {
	secrets := secretsOf(map[string][]byte{
		"tenant/own":   auths(t, "evil.test"),
		"other/secret": auths(t, "evil.test", "corp.test"),
		"sys/operator": auths(t, "corp.test", "evil.test.corp.test", "corp.test:5000", "https://corp.test/v2/", "test", "*", "*.corp.test", "evil.tes", "vil.test", "evil.test:5000", "corp.test/evil.test"),
	})
	k := registry.PullSecrets{Secrets: secrets, Operator: []evidence.SecretName{{Namespace: "sys", Name: "operator"}}, ServiceAccount: func(_ context.Context, namespace, _ string) ([]string, error) {
		return map[string][]string{"tenant": {"own", "secret", "../../other/secrets/secret", "other/secret"}}[namespace], nil
	}}
	for _, image := range []string{"evil.test/corp.test/app", "evil.test/app", "EVIL.test:443/app"} {
		got, err := k.Credentials(t.Context(), evidence.Puller{Namespace: "tenant"}, refOf(t, image).Repository())
		if err != nil || len(got) != 1 || got[0].Operator {
			t.Errorf("%s: want the tenant's own alone, got %q and %v", image, names(got), err)
		}
	}
}

// Whoever names images chooses the hosts that a store for all is asked about.
func TestR1HelpersAtOnceAreBounded(t *testing.T) {
	folder := t.TempDir()
	t.Setenv("HELPER_FOLDER", folder)
	helper(t, "test", `read server; mkdir "$HELPER_FOLDER/run.$$"; ls "$HELPER_FOLDER" | grep -c run >>"$HELPER_FOLDER/log"; sleep 0.2; rmdir "$HELPER_FOLDER/run.$$"; echo '{"Username":"u","Secret":"s"}'`)
	k := registry.NewDockerConfig(write(t, t.TempDir(), "config.json", `{"credsStore":"test"}`), time.Now)
	const hosts = 12
	failed := make(chan error, hosts)
	for i := range hosts {
		go func() {
			_, err := k.Credentials(t.Context(), evidence.Puller{}, refOf(t, fmt.Sprintf("r%d.example/acme/app", i)).Repository())
			failed <- err
		}()
	}
	for range hosts {
		if err := <-failed; err != nil {
			t.Error(err)
		}
	}
	log, err := os.ReadFile(filepath.Join(folder, "log"))
	if err != nil {
		t.Fatal(err)
	}
	counts := strings.Fields(string(log))
	for _, n := range counts {
		if running, err := strconv.Atoi(n); err != nil || running > 8 {
			t.Errorf("want at most 8 helpers at once, got %s", n)
		}
	}
	if len(counts) != hosts {
		t.Errorf("want %d helpers in all, got %d", hosts, len(counts))
	}
}
