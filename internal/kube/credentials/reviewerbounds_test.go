package credentials_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/bonafide-dev/bonafide/internal/kube/credentials"
)

// reviewingMany is as reviewing, and answers many at once.
func reviewingMany(answer func(authenticationv1.TokenReviewSpec) (authenticationv1.TokenReviewStatus, error)) kubernetes.Interface {
	return kubernetes.NewForConfigOrDie(&rest.Config{
		Host: "http://api.test", QPS: -1, ContentConfig: rest.ContentConfig{ContentType: "application/json"},
		Transport: transport(func(r *http.Request) (*http.Response, error) {
			var review authenticationv1.TokenReview
			if err := json.NewDecoder(r.Body).Decode(&review); err != nil {
				return nil, err
			}
			status, err := answer(review.Spec)
			if err != nil {
				return nil, err
			}
			return reply(http.StatusCreated, &authenticationv1.TokenReview{
				TypeMeta: metav1.TypeMeta{APIVersion: "authentication.k8s.io/v1", Kind: "TokenReview"}, Status: status,
			}), nil
		}),
	})
}

func genuineAs(name string, spec authenticationv1.TokenReviewSpec) authenticationv1.TokenReviewStatus {
	return authenticationv1.TokenReviewStatus{Authenticated: true, User: authenticationv1.UserInfo{Username: name}, Audiences: spec.Audiences}
}

// Anybody can send tokens. The API server is asked about a few at once, and who
// waits for too long is refused.
func TestR1ReviewsAtOnceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var asked atomic.Int64
		r := reviewer(t, reviewingMany(func(spec authenticationv1.TokenReviewSpec) (authenticationv1.TokenReviewStatus, error) {
			asked.Add(1)
			<-release
			return genuineAs("x", spec), nil
		}), time.Now)
		var waiting sync.WaitGroup
		failed := make(chan error, 20)
		for i := range 20 {
			waiting.Go(func() {
				if name, authenticated, err := r.Review(t.Context(), fmt.Sprint("token", i)); err != nil && !authenticated && name == "" {
					failed <- err
				}
			})
		}
		synctest.Wait()
		if asked.Load() != 8 {
			t.Errorf("want 8 reviews at once, got %d", asked.Load())
		}
		<-time.After(3*time.Second + time.Millisecond) // of the bubble
		synctest.Wait()
		if len(failed) < 12 {
			t.Errorf("want those refused that got no answer in time, got %d", len(failed))
		}
		if err := <-failed; !strings.Contains(err.Error(), "within 3s") {
			t.Errorf("want the time named, got %v", err)
		}
		close(release)
		waiting.Wait()
		for i := range 9 { // all slots are free again
			if name, authenticated, err := r.Review(t.Context(), fmt.Sprint("later", i)); err != nil || !authenticated || name != "x" {
				t.Fatalf("want an answer, got %q, %t and %v", name, authenticated, err)
			}
		}
	})
}

func TestR1TokensRememberedAreBounded(t *testing.T) {
	var seconds, asked atomic.Int64
	r := reviewer(t, reviewingMany(func(spec authenticationv1.TokenReviewSpec) (authenticationv1.TokenReviewStatus, error) {
		asked.Add(1)
		return genuineAs(spec.Token, spec), nil
	}), func() time.Time { return time.Unix(seconds.Load(), 0) })
	review := func(token string, wantAsked int64) {
		t.Helper()
		before := asked.Load()
		if name, authenticated, err := r.Review(t.Context(), token); err != nil || !authenticated || name != token {
			t.Fatalf("want %q, got %q, %t and %v", token, name, authenticated, err)
		}
		if got := asked.Load() - before; got != wantAsked {
			t.Errorf("%s after %ds: want %d questions, got %d", token, seconds.Load(), wantAsked, got)
		}
	}
	review("first", 1)
	seconds.Store(5)
	for i := range 255 {
		review(fmt.Sprint("token", i), 1)
	}
	review("first", 0)
	review("token0", 0)
	review("late", 1)
	review("late", 1) // there is no room for it
	seconds.Store(10) // the first has ended, the others have not
	review("late", 1)
	review("late", 0)
	review("token254", 0)
	review("first", 1)
}

func TestR1LongestToken(t *testing.T) {
	var asked atomic.Int64
	r := reviewer(t, reviewingMany(func(spec authenticationv1.TokenReviewSpec) (authenticationv1.TokenReviewStatus, error) {
		asked.Add(1)
		return genuineAs("x", spec), nil
	}), time.Now)
	for length, want := range map[int]bool{16 << 10: true, 16<<10 + 1: false} {
		if _, got, err := r.Review(t.Context(), strings.Repeat("a", length)); err != nil || got != want {
			t.Errorf("%d bytes: want authenticated %t, got %t and %v", length, want, got, err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("want no question about a token that is none, got %d", asked.Load())
	}
}

// An API server that fails at any of the questions has not said that a token is
// genuine, and is asked again.
func TestR48ReviewThatFailsAtAnyQuestion(t *testing.T) {
	for name, tc := range map[string]struct {
		audiences []string // of the question that fails
	}{"Kyvernos": {[]string{credentials.KyvernoAudience}}, "Own": {nil}} {
		t.Run(name, func(t *testing.T) {
			var broken atomic.Bool
			broken.Store(true)
			r := reviewer(t, reviewingMany(func(spec authenticationv1.TokenReviewSpec) (authenticationv1.TokenReviewStatus, error) {
				if slices.Equal(spec.Audiences, tc.audiences) {
					if broken.Load() {
						return authenticationv1.TokenReviewStatus{}, errBoom
					}
					return genuineAs("x", spec), nil
				}
				return authenticationv1.TokenReviewStatus{}, nil
			}), time.Now)
			if name, authenticated, err := r.Review(t.Context(), "hunter2"); err == nil || authenticated || name != "" || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("want an error alone, got %q, %t and %v", name, authenticated, err)
			}
			broken.Store(false)
			if name, authenticated, err := r.Review(t.Context(), "hunter2"); err != nil || !authenticated || name != "x" {
				t.Errorf("want it asked again, got %q, %t and %v", name, authenticated, err)
			}
		})
	}
}

// The same user of another token is not believed for it, and a token that differs
// in one byte is another one.
func TestR48OneTokensReviewIsNotAnothers(t *testing.T) {
	r := reviewer(t, reviewingMany(func(spec authenticationv1.TokenReviewSpec) (authenticationv1.TokenReviewStatus, error) {
		if spec.Token != "token" {
			return authenticationv1.TokenReviewStatus{}, nil
		}
		return genuineAs("x", spec), nil
	}), time.Now)
	for _, token := range []string{"token", "token ", "Token", "toke", "token\x00", "token"} {
		name, got, err := r.Review(t.Context(), token)
		if want := token == "token"; err != nil || got != want || (name == "x") != want {
			t.Errorf("%q: want authenticated %t, got %q, %t and %v", token, want, name, got, err)
		}
	}
}
