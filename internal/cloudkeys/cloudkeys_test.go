package cloudkeys_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/cloudkeys"
	"github.com/bonafide-dev/bonafide/registry"
)

// A mock stands in for a provider: it is one, and talks to no cloud.
type mock struct {
	hosts []string
	give  func(ctx context.Context, host string) (registry.Credential, error)

	mu    sync.Mutex
	asked []string
}

func (m *mock) Scope(host string) (string, bool) { return host, slices.Contains(m.hosts, host) }

func (m *mock) Credential(ctx context.Context, host string) (registry.Credential, error) {
	m.mu.Lock()
	m.asked = append(m.asked, host)
	m.mu.Unlock()
	return m.give(ctx, host)
}

func (m *mock) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.asked)
}

func mocked(give func(ctx context.Context, host string) (registry.Credential, error)) *mock {
	return &mock{hosts: []string{"one.mock.example", "two.mock.example"}, give: give}
}

func answer(context.Context, string) (registry.Credential, error) {
	return registry.Credential{Username: "u", Password: "p"}, nil
}

// hanging answers nobody, whatever their context, until release is called.
func hanging() (m *mock, release func()) {
	released := make(chan struct{})
	return mocked(func(ctx context.Context, host string) (registry.Credential, error) {
		<-released
		return answer(ctx, host)
	}), func() { close(released) }
}

func keychain(m *mock, now func() time.Time) *cloudkeys.Keychain {
	return cloudkeys.NewKeychain(now, cloudkeys.Named{Name: "mock", Provider: m})
}

func repository(t testing.TB, host string) imageref.Repository {
	t.Helper()
	ref, err := imageref.Parse(host + "/team/app")
	if err != nil {
		t.Fatal(err)
	}
	return ref.Repository()
}

func wantProblem(t *testing.T, err error) {
	t.Helper()
	var p *evidence.Problem
	if !errors.As(err, &p) || p.Reason != evidence.CredentialsFailed || !p.Undecided() {
		t.Fatalf("want a problem with reason %s, got %v", evidence.CredentialsFailed, err)
	}
	if strings.Contains(p.Error(), "hunter2") {
		t.Errorf("want no secret in %v", p)
	}
}

func TestR6OnlyOwnHostsAreAskedFor(t *testing.T) {
	m := mocked(answer)
	k := keychain(m, time.Now)
	found, err := k.Credentials(t.Context(), evidence.Puller{}, repository(t, "one.mock.example"))
	want := []registry.Credential{{Username: "u", Password: "p", Operator: true, OwnHostOnly: true}}
	if err != nil || !slices.Equal(want, found) {
		t.Errorf("want the operator's credential for its own host alone, got %d and %v", len(found), err)
	}
	for _, host := range []string{"mock.example", "evil.example", "one.mock.example.evil.example", "one.mock.example:8443"} {
		if found, err := k.Credentials(t.Context(), evidence.Puller{}, repository(t, host)); err != nil || found != nil {
			t.Errorf("%s: want none, got %d and %v", host, len(found), err)
		}
	}
	if diff := cmp.Diff([]string{"one.mock.example"}, m.asked); diff != "" {
		t.Errorf("asked for (-want +got):\n%s", diff)
	}
}

func TestCredentialIsUsedAgainForMinutes(t *testing.T) {
	var seconds atomic.Int64
	m := mocked(answer)
	k := keychain(m, func() time.Time { return time.Unix(seconds.Load(), 0) })
	for _, step := range []struct {
		at   int64
		host string
		want int
	}{{0, "one", 1}, {239, "one", 1}, {239, "two", 2}, {240, "one", 3}} {
		seconds.Store(step.at)
		if _, err := k.Credentials(t.Context(), evidence.Puller{}, repository(t, step.host+".mock.example")); err != nil {
			t.Fatal(err)
		}
		if got := m.count(); got != step.want {
			t.Errorf("after %ds: want %d questions, got %d", step.at, step.want, got)
		}
	}
}

func TestR48ProviderThatFails(t *testing.T) {
	cases := map[string]func(context.Context, string) (registry.Credential, error){
		"Error": func(context.Context, string) (registry.Credential, error) {
			return registry.Credential{Username: "u", Password: "p"}, errors.New("boom: the request held hunter2")
		},
		"Nothing": func(context.Context, string) (registry.Credential, error) { return registry.Credential{}, nil },
		"Panic":   func(context.Context, string) (registry.Credential, error) { panic("hunter2") },
	}
	for name, give := range cases {
		t.Run(name, func(t *testing.T) {
			var seconds atomic.Int64
			m := mocked(give)
			k := keychain(m, func() time.Time { return time.Unix(seconds.Load(), 0) })
			for _, step := range []struct {
				at   int64
				want int
			}{{0, 1}, {14, 1}, {15, 2}} {
				seconds.Store(step.at)
				found, err := k.Credentials(t.Context(), evidence.Puller{}, repository(t, "one.mock.example"))
				wantProblem(t, err)
				if got := m.count(); found != nil || got != step.want {
					t.Errorf("after %ds: want no credential and %d questions, got %d and %d", step.at, step.want, len(found), got)
				}
			}
		})
	}
}

// TestR10MetadataServiceThatHangs has a library that does not end in time.
func TestR10MetadataServiceThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, release := hanging()
		k := keychain(m, time.Now)
		began := time.Now()
		_, err := k.Credentials(t.Context(), evidence.Puller{}, repository(t, "one.mock.example"))
		wantProblem(t, err)
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("want 4s, got %s", took)
		}
		_, err = k.Credentials(t.Context(), evidence.Puller{}, repository(t, "one.mock.example"))
		wantProblem(t, err)
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("want the next look-up not to wait, got %s", took-4*time.Second)
		}
		release()
		synctest.Wait()
		<-time.After(15 * time.Second) // of the bubble
		if _, err := k.Credentials(t.Context(), evidence.Puller{}, repository(t, "one.mock.example")); err != nil {
			t.Errorf("want it asked again, got %v", err)
		}
	})
}

func TestR1QuestionsAtOnceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, release := hanging()
		m.hosts = nil
		for _, c := range "abcdefghijklmnop" {
			m.hosts = append(m.hosts, string(c)+".mock.example")
		}
		k := keychain(m, time.Now)
		var wait sync.WaitGroup
		for _, host := range m.hosts {
			wait.Go(func() { _, _ = k.Credentials(t.Context(), evidence.Puller{}, repository(t, host)) })
		}
		synctest.Wait()
		if got := m.count(); got != 8 {
			t.Errorf("want 8 questions at once, got %d", got)
		}
		release()
		wait.Wait()
	})
}

func TestR38CallerThatGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, release := hanging()
		k := keychain(m, time.Now)
		first, leave := context.WithCancel(t.Context())
		var wait sync.WaitGroup
		wait.Go(func() {
			_, err := k.Credentials(first, evidence.Puller{}, repository(t, "one.mock.example"))
			wantGone(t, err)
		})
		wait.Go(func() {
			if found, err := k.Credentials(t.Context(), evidence.Puller{}, repository(t, "one.mock.example")); err != nil || len(found) != 1 {
				t.Errorf("want the other caller served, got %d and %v", len(found), err)
			}
		})
		synctest.Wait()
		leave()
		synctest.Wait()
		release()
		wait.Wait()
		if got := m.count(); got != 1 {
			t.Errorf("want one question for both, got %d", got)
		}
	})
}

func wantGone(t *testing.T, err error) {
	t.Helper()
	if p := evidence.ProblemOf(err); p == nil || p.Reason != evidence.CredentialsFailed {
		t.Errorf("want a problem for who went away, got %v", err)
	}
}

func TestNew(t *testing.T) {
	for name, tc := range map[string]struct {
		names       []string
		environment string
		want        bool
	}{
		"None":      {want: true},
		"All":       {names: cloudkeys.Names(), want: true},
		"Unknown":   {names: []string{"oracle"}},
		"Upper":     {names: []string{"AWS"}},
		"Twice":     {names: []string{"aws", "aws"}},
		"OtherEnv":  {names: []string{"azure"}, environment: "AzureStackCloud"},
		"GovEnv":    {names: []string{"azure"}, environment: "AzureUSGovernmentCloud", want: true},
		"UnusedEnv": {names: []string{"aws"}, environment: "AzureStackCloud", want: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AZURE_ENVIRONMENT", tc.environment)
			if _, err := cloudkeys.New(tc.names, time.Now); (err == nil) != tc.want {
				t.Errorf("%q: want accepted %t, got %v", tc.names, tc.want, err)
			}
		})
	}
}
