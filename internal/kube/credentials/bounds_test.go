package credentials_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/kube/credentials"
)

// reading returns a client whose API server answers reads of an object as told.
// Of what it is not told about there is none. Unlike the fake client, it answers
// many at once.
func reading(resource string, answer func(namespace, name string) (runtime.Object, error)) kubernetes.Interface {
	return kubernetes.NewForConfigOrDie(&rest.Config{Host: "http://api.test", QPS: -1, Transport: transport(func(r *http.Request) (*http.Response, error) {
		// /api/v1/namespaces/<namespace>/<resource>/<name>
		parts := strings.Split(strings.TrimPrefix(r.URL.Path, "/"), "/")
		namespace, name := parts[3], parts[5]
		var object runtime.Object
		err := absent(name)
		if parts[4] == resource {
			object, err = answer(namespace, name)
		}
		var status *apierrors.StatusError
		switch {
		case errors.As(err, &status):
			return reply(int(status.ErrStatus.Code), &status.ErrStatus), nil
		case err != nil:
			return nil, err
		}
		return reply(http.StatusOK, object), nil
	})})
}

type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

func reply(status int, object runtime.Object) *http.Response {
	body, err := json.Marshal(object)
	if err != nil {
		panic(err)
	}
	return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(body))}
}

func dockerSecret(namespace, name, content string) *corev1.Secret {
	return &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Type: corev1.SecretTypeDockerConfigJson,
		Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(content)},
	}
}

func absent(name string) error {
	return apierrors.NewNotFound(schema.GroupResource{Resource: "secrets"}, name)
}

// The author of workloads chooses how many Secrets they name. Whoever reads in
// another namespace does not wait behind them.
func TestR10SecretsOfOneNamespaceDoNotHoldUpAnothers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var busy, most, late atomic.Int64
		client := reading("secrets", func(namespace, name string) (runtime.Object, error) {
			if namespace == "greedy" {
				most.Store(max(most.Load(), busy.Add(1)))
				<-release
				busy.Add(-1)
			}
			return nil, absent(name)
		})
		c := credentials.New(client, time.Now)
		var waiting sync.WaitGroup
		for i := range 500 {
			waiting.Go(func() {
				if _, err := c.PullSecret(t.Context(), "greedy", fmt.Sprint(i)); err != nil {
					late.Add(1)
				}
			})
		}
		synctest.Wait()
		if most.Load() != 4 {
			t.Errorf("want 4 reads of one namespace at once, got %d", most.Load())
		}
		began := time.Now()
		if _, err := c.PullSecret(t.Context(), "modest", "pull"); err != nil || time.Since(began) != 0 {
			t.Errorf("want another namespace answered at once, got %v after %s", err, time.Since(began))
		}
		if _, err := c.ServiceAccount(t.Context(), "modest", "default"); err != nil {
			t.Error(err)
		}
		<-time.After(3*time.Second + time.Millisecond) // of the bubble
		synctest.Wait()
		if late.Load() < 496 {
			t.Errorf("want those refused that got no slot in time, got %d", late.Load())
		}
		close(release)
		waiting.Wait()
		for i := range 9 { // all slots are free again
			if _, err := c.PullSecret(t.Context(), "greedy", fmt.Sprint("later", i)); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func TestR1ReadsAtOnceAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		var asked atomic.Int64
		client := reading("secrets", func(_, name string) (runtime.Object, error) {
			asked.Add(1)
			<-release
			return nil, absent(name)
		})
		c := credentials.New(client, time.Now)
		var waiting sync.WaitGroup
		failed := make(chan error, 30)
		for i := range 30 {
			waiting.Go(func() {
				_, err := c.PullSecret(t.Context(), fmt.Sprint("ns", i), "pull")
				failed <- err
			})
		}
		synctest.Wait()
		if asked.Load() != 16 {
			t.Errorf("want 16 reads at once, got %d", asked.Load())
		}
		<-time.After(3*time.Second + time.Millisecond) // of the bubble
		synctest.Wait()
		for range 14 { // those that got no slot
			if p := wantProblem(t, <-failed); !strings.Contains(p.Got, "within 3s") {
				t.Errorf("want the time named, got %q", p.Got)
			}
		}
		close(release)
		waiting.Wait()
		for i := range 40 { // nobody holds a slot that gave up waiting for one
			if _, err := c.PullSecret(t.Context(), fmt.Sprint("ns", i), "later"); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A Pod may have a thousand images. What is wrong with a Secret is found out once
// for them, and anew when it may have been mended.
func TestR1RefusedObjectsAreNotReadForEachImage(t *testing.T) {
	var seconds, asked atomic.Int64
	now := func() time.Time { return time.Unix(seconds.Load(), 0) }
	many := &corev1.ServiceAccount{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "ServiceAccount"}, ImagePullSecrets: make([]corev1.LocalObjectReference, 65)}
	cases := map[string]struct {
		resource string
		object   runtime.Object
		read     func(context.Context, *credentials.Credentials) error
	}{
		"TooLarge":  {"secrets", dockerSecret("ns", "pull", strings.Repeat(" ", 256<<10+1)), readSecret},
		"Empty":     {"secrets", dockerSecret("ns", "pull", ""), readSecret},
		"OtherType": {"secrets", &corev1.Secret{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"}, Type: corev1.SecretTypeOpaque, Data: map[string][]byte{corev1.DockerConfigJsonKey: []byte(ghcr)}}, readSecret},
		"ManyNames": {"serviceaccounts", many, func(ctx context.Context, c *credentials.Credentials) error {
			_, err := c.ServiceAccount(ctx, "ns", "app")
			return err
		}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			seconds.Store(0)
			asked.Store(0)
			c := credentials.New(reading(tc.resource, func(string, string) (runtime.Object, error) {
				asked.Add(1)
				return tc.object, nil
			}), now)
			for _, step := range []struct{ at, want int64 }{{0, 1}, {9, 1}, {10, 2}} {
				seconds.Store(step.at)
				_ = wantProblem(t, tc.read(t.Context(), c))
				if asked.Load() != step.want {
					t.Errorf("after %ds: want %d reads, got %d", step.at, step.want, asked.Load())
				}
			}
		})
	}
}

func readSecret(ctx context.Context, c *credentials.Credentials) error {
	_, err := c.PullSecret(ctx, "ns", "pull")
	return err
}

func TestLargestPullSecret(t *testing.T) {
	content := ghcr + strings.Repeat(" ", 256<<10-len(ghcr))
	c := credentials.New(reading("secrets", func(namespace, name string) (runtime.Object, error) {
		return dockerSecret(namespace, name, content), nil
	}), time.Now)
	if got, err := c.PullSecret(t.Context(), "ns", "pull"); err != nil || string(got) != content {
		t.Errorf("want %d bytes, got %d and %v", len(content), len(got), err)
	}
}

// What is remembered stays in bounds whatever names are asked for, and what was
// asked for last stays longest.
func TestR1WhatIsRememberedIsBounded(t *testing.T) {
	cases := map[string]struct {
		content string
		most    int // that are remembered
	}{
		"Bytes":   {ghcr + strings.Repeat(" ", 256<<10-len(ghcr)), 64},
		"Entries": {"", 4096},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			var asked atomic.Int64
			c := credentials.New(reading("secrets", func(namespace, name string) (runtime.Object, error) {
				asked.Add(1)
				if tc.content == "" {
					return nil, absent(name)
				}
				return dockerSecret(namespace, name, tc.content), nil
			}), func() time.Time { return time.Time{} })
			read := func(i int) {
				t.Helper()
				if _, err := c.PullSecret(t.Context(), "ns", fmt.Sprint(i)); err != nil {
					t.Fatal(err)
				}
			}
			for i := range tc.most {
				read(i)
			}
			read(0) // is used again
			if asked.Load() != int64(tc.most) {
				t.Fatalf("want %d remembered, got %d reads", tc.most, asked.Load())
			}
			read(tc.most) // takes the place of 1
			before := asked.Load()
			read(0)
			read(2)
			read(tc.most)
			if asked.Load() != before {
				t.Errorf("want the latest remembered, got %d reads more", asked.Load()-before)
			}
			read(1)
			if asked.Load() != before+1 {
				t.Errorf("want the oldest forgotten, got %d reads more", asked.Load()-before)
			}
		})
	}
}

func TestR48ErrorsAreNotRemembered(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	c := credentials.New(reading("secrets", func(namespace, name string) (runtime.Object, error) {
		if broken.Load() {
			return nil, errBoom
		}
		return dockerSecret(namespace, name, ghcr), nil
	}), time.Now)
	got, err := c.PullSecret(t.Context(), "ns", "pull")
	if p := wantProblem(t, err); got != nil || p.Path != "Secret ns/pull" || !strings.Contains(p.Got, "no answer") {
		t.Errorf("want the Secret named and nothing of it, got %q and %v", got, p)
	}
	broken.Store(false)
	if got, err := c.PullSecret(t.Context(), "ns", "pull"); err != nil || string(got) != ghcr {
		t.Errorf("want the Secret, got %q and %v", got, err)
	}
}

func TestR38CallerThatLeavesDoesNotEndTheRead(t *testing.T) {
	for name, tc := range map[string]struct {
		leave func(context.Context) (context.Context, context.CancelFunc)
		want  evidence.Reason
	}{
		"Cancelled": {context.WithCancel, evidence.Cancelled},
		"Late": {func(ctx context.Context) (context.Context, context.CancelFunc) {
			return context.WithTimeout(ctx, time.Second)
		}, evidence.DeadlineExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				release := make(chan struct{})
				var asked atomic.Int64
				c := credentials.New(reading("secrets", func(namespace, name string) (runtime.Object, error) {
					asked.Add(1)
					<-release
					return dockerSecret(namespace, name, ghcr), nil
				}), time.Now)
				ctx, cancel := tc.leave(t.Context())
				defer cancel()
				gone := make(chan error, 1)
				go func() {
					_, err := c.PullSecret(ctx, "ns", "pull")
					gone <- err
				}()
				synctest.Wait()
				if tc.want == evidence.Cancelled {
					cancel()
				}
				if p := evidence.ProblemOf(<-gone); p.Reason != tc.want {
					t.Errorf("want %s, got %v", tc.want, p)
				}
				close(release)
				if got, err := c.PullSecret(t.Context(), "ns", "pull"); err != nil || string(got) != ghcr || asked.Load() != 1 {
					t.Errorf("want what the first read gave, got %q, %v and %d reads", got, err, asked.Load())
				}
			})
		})
	}
}

// A name that is none is repeated in part.
func TestR1LongNameIsClipped(t *testing.T) {
	c := credentials.New(reading("secrets", func(string, string) (runtime.Object, error) { return nil, errBoom }), time.Now)
	for _, length := range []int{253, 254, 1 << 20} {
		_, err := c.PullSecret(t.Context(), "ns", strings.Repeat("n", length))
		want := "Secret ns/" + strings.Repeat("n", 253)
		if length > 253 {
			want += "…"
		}
		if p := wantProblem(t, err); p.Path != want {
			t.Errorf("%d: want a name of 253 bytes, got %d", length, len(p.Path))
		}
	}
}
