package credentials_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/bonafide-dev/bonafide/internal/kube/credentials"
)

// tokenFor asks the API server for a token, for itself unless audiences are
// given.
func tokenFor(t *testing.T, client kubernetes.Interface, namespace, name string, audiences ...string) string {
	t.Helper()
	answer, err := client.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: audiences},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return answer.Status.Token
}

func reviewer(t *testing.T, client kubernetes.Interface, now func() time.Time) *credentials.Reviewer {
	t.Helper()
	r, err := credentials.NewReviewer(client, []string{credentials.KyvernoAudience}, now)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestReviewAtTheAPIServer(t *testing.T) {
	cluster, client := start(t)
	ns := cluster.Namespace(t, nil)
	cluster.ServiceAccountConfig(t, ns, "kyverno")
	account := "system:serviceaccount:" + ns + ":kyverno"
	genuine := tokenFor(t, client, ns, "kyverno")
	cases := map[string]struct {
		reason string
		token  string
		want   string // username, "" if not authenticated
	}{
		"DefaultAudience":  {"older Kyvernos send their account's token", genuine, account},
		"KyvernosAudience": {"newer ones a token for their services", tokenFor(t, client, ns, "kyverno", credentials.KyvernoAudience), account},
		"OneOfTwo":         {"a token may be for others too", tokenFor(t, client, ns, "kyverno", "vault", credentials.KyvernoAudience), account},
		"OtherAudience":    {"a token that was made for another service proves nothing to us", tokenFor(t, client, ns, "kyverno", "vault"), ""},
		"Forged":           {"the signature counts", genuine[:len(genuine)-4] + "AAAA", ""},
		"NoToken":          {"nor is any word one", "letmein", ""},
		"Empty":            {"nothing", "", ""},
		"Huge":             {"bounded", strings.Repeat("a", 1<<20), ""},
	}
	r := reviewer(t, client, time.Now)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for range 2 { // the second may be remembered
				got, authenticated, err := r.Review(t.Context(), tc.token)
				if err != nil || got != tc.want || authenticated != (tc.want != "") {
					t.Errorf("%s: want %q, got %q, authenticated %t, and %v", tc.reason, tc.want, got, authenticated, err)
				}
			}
		})
	}
}

func TestReviewIsBelievedForSeconds(t *testing.T) {
	var seconds, asked atomic.Int64
	var genuine atomic.Bool
	client := reviewing(func(spec authenticationv1.TokenReviewSpec) (authenticationv1.TokenReviewStatus, error) {
		asked.Add(1)
		return authenticationv1.TokenReviewStatus{Authenticated: genuine.Load(), User: authenticationv1.UserInfo{Username: "x"}, Audiences: spec.Audiences}, nil
	})
	r := reviewer(t, client, func() time.Time { return time.Unix(seconds.Load(), 0) })
	for _, step := range []struct {
		reason     string
		at         int64
		genuine    bool
		want       bool
		askedInAll int64
	}{
		{"nothing is known: both audiences are asked for", 0, false, false, 2},
		{"a refusal is not remembered", 0, true, true, 3},
		{"believed", 9, false, true, 3},
		{"no longer", 10, false, false, 5},
	} {
		seconds.Store(step.at)
		genuine.Store(step.genuine)
		_, got, err := r.Review(t.Context(), "token")
		if err != nil || got != step.want || asked.Load() != step.askedInAll {
			t.Errorf("after %ds, %s: want authenticated %t and %d questions, got %t, %d and %v", step.at, step.reason, step.want, step.askedInAll, got, asked.Load(), err)
		}
	}
}

// reviewing returns a client whose API server answers reviews as told.
func reviewing(answer func(authenticationv1.TokenReviewSpec) (authenticationv1.TokenReviewStatus, error)) kubernetes.Interface {
	client := fake.NewClientset()
	client.PrependReactor("create", "tokenreviews", func(action clienttesting.Action) (bool, runtime.Object, error) {
		create, _ := action.(clienttesting.CreateAction) // of this verb
		review, _ := create.GetObject().(*authenticationv1.TokenReview)
		status, err := answer(review.Spec)
		return true, &authenticationv1.TokenReview{Status: status}, err
	})
	return client
}

var errBoom = errors.New("boom: the request was hunter2")

func TestR47ReviewErrorDoesNotHoldTheToken(t *testing.T) {
	client := reviewing(func(authenticationv1.TokenReviewSpec) (authenticationv1.TokenReviewStatus, error) {
		return authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: "x"}}, errBoom
	})
	name, authenticated, err := reviewer(t, client, time.Now).Review(t.Context(), "hunter2")
	if err == nil || authenticated || name != "" {
		t.Fatalf("want an error alone, got %q, %t and %v", name, authenticated, err)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("want no token in the error, got %v", err)
	}
}

func TestR48ReviewWithoutTheAudience(t *testing.T) {
	user := authenticationv1.UserInfo{Username: "x"}
	cases := map[string]struct {
		reason string
		status authenticationv1.TokenReviewStatus
		want   bool
	}{
		"Named":     {"its answer says that the audience is met", authenticationv1.TokenReviewStatus{Authenticated: true, User: user, Audiences: []string{credentials.KyvernoAudience}}, true},
		"LeftOut":   {"an API server that knows no audiences speaks about itself", authenticationv1.TokenReviewStatus{Authenticated: true, User: user}, false},
		"Another":   {"another audience", authenticationv1.TokenReviewStatus{Authenticated: true, User: user, Audiences: []string{"vault"}}, false},
		"NoUser":    {"nobody", authenticationv1.TokenReviewStatus{Authenticated: true, Audiences: []string{credentials.KyvernoAudience}}, false},
		"NotProven": {"the user of a token that is not genuine", authenticationv1.TokenReviewStatus{User: user, Audiences: []string{credentials.KyvernoAudience}}, false},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			client := reviewing(func(spec authenticationv1.TokenReviewSpec) (authenticationv1.TokenReviewStatus, error) {
				if len(spec.Audiences) == 0 {
					return authenticationv1.TokenReviewStatus{}, nil
				}
				return tc.status, nil
			})
			if _, got, err := reviewer(t, client, time.Now).Review(t.Context(), "token"); err != nil || got != tc.want {
				t.Errorf("%s: want %t, got %t and %v", tc.reason, tc.want, got, err)
			}
		})
	}
}

func TestR38OneCallersDeadlineIsNotAnothers(t *testing.T) {
	release, asked := make(chan struct{}), make(chan struct{}, 1)
	client := reviewing(func(spec authenticationv1.TokenReviewSpec) (authenticationv1.TokenReviewStatus, error) {
		asked <- struct{}{}
		<-release
		return authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: "x"}, Audiences: spec.Audiences}, nil
	})
	r := reviewer(t, client, time.Now)
	first, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, _, err := r.Review(first, "token")
		gone <- err
	}()
	<-asked
	leave()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("want the caller's own end, got %v", err)
	}
	close(release)
	if name, _, err := r.Review(t.Context(), "token"); err != nil || name != "x" {
		t.Errorf("want the flight to go on, got %q and %v", name, err)
	}
}

func TestNewReviewerRefuses(t *testing.T) {
	for name, audiences := range map[string][]string{"Empty": {""}, "TooMany": {"a", "b", "c", "d", "e"}} {
		t.Run(name, func(t *testing.T) {
			if _, err := credentials.NewReviewer(fake.NewClientset(), audiences, time.Now); err == nil {
				t.Errorf("want %q refused", audiences)
			}
		})
	}
}
