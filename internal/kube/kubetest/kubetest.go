// Package kubetest is what tests of the packages below internal/kube share: a
// client of the rig's cluster, a clock, a journal of what is said, and a proxy
// that is bad at watches.
package kubetest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/bonafide-dev/bonafide/internal/kube"
)

// Client returns a client by a configuration.
func Client(tb testing.TB, config *rest.Config) *kube.Client {
	tb.Helper()
	client, err := kube.New(config)
	if err != nil {
		tb.Fatal(err)
	}
	return client
}

// A Clock is moved by the test alone, or stands at an offset from another. The
// zero Clock stands at a fixed time. It is safe for concurrent use.
type Clock struct {
	Of *Clock // nil: this one stands for itself

	mu    sync.Mutex
	moved time.Duration
}

// Now returns its time.
func (c *Clock) Now() time.Time {
	c.mu.Lock()
	moved := c.moved
	c.mu.Unlock()
	if c.Of != nil {
		return c.Of.Now().Add(moved)
	}
	return time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC).Add(moved)
}

// Advance moves it, back if d is negative.
func (c *Clock) Advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved += d
}

// Off returns a clock that is off this one.
func (c *Clock) Off(d time.Duration) *Clock { return &Clock{Of: c, moved: d} }

// A Journal is what is said, in logs and Events, as lines of text. The zero
// Journal is empty. It is safe for concurrent use.
type Journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write takes what is logged.
func (j *Journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// Event takes an Event, as packages below internal/kube give them.
func (j *Journal) Event(_ context.Context, about corev1.ObjectReference, kind, reason, message string) {
	fmt.Fprintf(j, "event %s/%s %s %s: %s\n", about.Kind, about.Name, kind, reason, message)
}

// Log returns a logger that writes into it.
func (j *Journal) Log() *slog.Logger { return slog.New(slog.NewTextHandler(j, nil)) }

// Said returns everything.
func (j *Journal) Said() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// Count returns how often the text was said.
func (j *Journal) Count(text string) int { return strings.Count(j.Said(), text) }

// Run runs something beside the test. The function that it returns stops it and
// waits for its end, which the end of the test does too.
func Run(tb testing.TB, run func(ctx context.Context)) (stop func()) {
	tb.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(ctx)
	}()
	stop = sync.OnceFunc(func() {
		cancel()
		<-done
	})
	tb.Cleanup(stop)
	return stop
}

// Grant gives a user rights in a namespace, until the function that it returns
// takes them back.
func Grant(tb testing.TB, client *kube.Client, namespace, user string, rules ...rbacv1.PolicyRule) (revoke func()) {
	tb.Helper()
	rbac := client.Typed.RbacV1()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{GenerateName: "granted-"}, Rules: rules}
	role, err := rbac.Roles(namespace).Create(tb.Context(), role, metav1.CreateOptions{})
	if err != nil {
		tb.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: role.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}},
	}
	if _, err := rbac.RoleBindings(namespace).Create(tb.Context(), binding, metav1.CreateOptions{}); err != nil {
		tb.Fatal(err)
	}
	return func() {
		tb.Helper()
		if err := rbac.RoleBindings(namespace).Delete(tb.Context(), binding.Name, metav1.DeleteOptions{}); err != nil {
			tb.Fatal(err)
		}
	}
}
