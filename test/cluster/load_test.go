package cluster_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

const (
	// perSecond is how many Pods are created, of each image.
	perSecond = 10
	// outage is how long the registry is cut off.
	outage = 30 * time.Second
)

// A load creates Pods at a steady rate and counts what becomes of them.
type load struct {
	client    kubernetes.Interface
	namespace string
	good, bad string // images that must be, and must never be, admitted

	killing atomic.Bool // reviews may be lost with the replica that is killed

	admitted, refused, wrong, lost, inFlight, noServer atomic.Int64
	mu                                                 sync.Mutex
	examples                                           []string
}

func (l *load) run(ctx context.Context) {
	ticker := time.NewTicker(time.Second / perSecond)
	defer ticker.Stop()
	var running sync.WaitGroup
	defer running.Wait()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			killing := l.killing.Load()
			running.Go(func() { l.create(context.WithoutCancel(ctx), l.good, true, killing) })
			running.Go(func() { l.create(context.WithoutCancel(ctx), l.bad, false, killing) })
		}
	}
}

func (l *load) create(ctx context.Context, image string, want, killing bool) {
	_, err := l.client.CoreV1().Pods(l.namespace).Create(ctx, podOf(image), metav1.CreateOptions{})
	unreviewed := err != nil && strings.Contains(err.Error(), "failed calling webhook")
	switch {
	case err == nil && want:
		l.admitted.Add(1)
	case err == nil:
		l.wrong.Add(1)
		l.note("admitted: " + image)
	case !apierrors.IsForbidden(err) && !apierrors.IsInternalError(err):
		l.noServer.Add(1) // the API server itself was away
	case unreviewed && (killing || l.killing.Load()):
		l.inFlight.Add(1)
	case unreviewed:
		l.lost.Add(1)
		l.note(err.Error())
	case want:
		l.wrong.Add(1)
		l.note(err.Error())
	default:
		l.refused.Add(1)
	}
}

func (l *load) note(text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.examples) < 5 {
		l.examples = append(l.examples, text)
	}
}

// TestTwoReplicasUnderLoad creates Pods all the while, and meanwhile kills and
// starts a replica, rotates the certificate three times, once by an authority
// that is new, starts the API server again and cuts the registry off. No review is lost but those in flight at the
// killed replica, nothing is admitted wrongly, and nothing refused wrongly.
func TestTwoReplicasUnderLoad(t *testing.T) {
	i := install(t, 2)
	key := rig.NewKey(t)
	signed := rig.Push(t, i.registry, "acme/app:signed", key)
	unsigned := rig.Push(t, i.registry, "acme/app:unsigned")
	i.secret(t, "release", key)
	i.ready(t, i.Apply(t, i.policy("release", "release"))[0])
	name := i.registry.Host() + "/acme/app@"
	for _, replica := range i.replicas {
		i.balancer.Use(replica)
		i.becomes(t, name+signed.Digest.String(), "")
		i.becomes(t, name+unsigned.Digest.String(), "release")
	}
	i.balancer.Use(i.replicas...)

	config := rest.CopyConfig(i.Config)
	client, err := clientOf(config)
	if err != nil {
		t.Fatal(err)
	}
	l := &load{client: client, namespace: i.namespace, good: name + signed.Digest.String(), bad: name + unsigned.Digest.String()}
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { l.run(ctx) })
	began := time.Now()
	t.Cleanup(func() { stop(); running.Wait() })

	i.rotateLeaf(t)
	i.announceAuthority(t) // both are trusted while the worst happens
	l.killing.Store(true)
	i.replicas[0].Kill()
	i.balancer.Use(i.replicas[1])
	i.replicas[0] = i.start(t)
	i.balancer.Use(i.replicas...)
	l.killing.Store(false)
	i.RestartAPIServer(t)
	i.cutOff(t, outage)
	i.switchAuthority(t)
	i.rotateLeaf(t)
	i.retireAuthority(t)
	stop()
	running.Wait()

	t.Logf("figures: %s of load: %d admitted, %d refused, %d wrong, %d lost, %d lost in flight at the killed replica, %d while the API server was away",
		time.Since(began).Round(time.Second), l.admitted.Load(), l.refused.Load(), l.wrong.Load(), l.lost.Load(), l.inFlight.Load(), l.noServer.Load())
	if l.admitted.Load() == 0 || l.refused.Load() == 0 || l.wrong.Load() != 0 || l.lost.Load() != 0 {
		t.Errorf("want none wrong and none lost, got:\n%s", strings.Join(l.examples, "\n"))
	}
}

// cutOff has the registry answer nobody for a while. What was proven is still
// decided; that is what is waited for, rather than a condition.
func (i *installation) cutOff(t *testing.T, long time.Duration) {
	t.Helper()
	i.registry.Intercept(func(w http.ResponseWriter, r *http.Request) bool {
		panic(http.ErrAbortHandler) // the connection ends without an answer
	})
	over := time.NewTimer(long)
	defer over.Stop()
	select {
	case <-over.C:
	case <-t.Context().Done():
	}
	i.registry.Intercept(nil)
}
