// Package leader lets one replica at a time do what must be written once:
// webhook configurations, statuses, reports. Answering reviews needs no leader.
//
// The leader holds a Lease. A leader that cannot renew it stops before another
// may begin, as long as clocks run at the same speed; what it writes is guarded
// by resource versions besides, since no election excludes two leaders for
// certain.
//
// It needs these rights in the system namespace:
//
//	leases.coordination.k8s.io   create
//	leases.coordination.k8s.io   get, update   (resourceNames: the Lease)
package leader

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/bonafide-dev/bonafide/internal/kube"
)

// DefaultName is the Lease's name unless the options say otherwise.
const DefaultName = "bonafide"

// The times of an election are those of Kubernetes' own controllers, under
// which an API server may be away for ten seconds without a change of leader.
const (
	defaultLease = 15 * time.Second
	renewShare   = 2.0 / 3     // of the lease: how long a leader tries to renew
	retryShare   = 2.0 / 15    // of the lease: between tries
	againAfter   = time.Second // between the loss of a Lease and the next campaign
)

// Options are what an election needs.
type Options struct {
	Client    *kube.Client // required
	Namespace string       // of the Lease; required
	Name      string       // of the Lease; empty: [DefaultName]
	Identity  string       // this replica's, unique, such as its Pod's name; required
	Log       *slog.Logger // required
	// Lead is run while this replica leads, at most once at a time. It must
	// return soon after its context ends. If it returns before, the replica
	// leads on and does nothing. Required.
	Lead func(ctx context.Context)
	// Lease is how long others wait for a leader that went silent. Zero: 15 s.
	// At least 3 s.
	Lease time.Duration
}

// minLease leaves time for some tries within whole seconds, which is what the
// Lease object counts in.
const minLease = 3 * time.Second

// Run campaigns, leads, and campaigns again after a loss, until ctx ends. Then
// it waits for Lead and gives the Lease back, so that the next leader need not
// wait. The error is one of the options; an end of ctx is none.
func Run(ctx context.Context, o Options) error {
	if o.Client == nil || o.Namespace == "" || o.Identity == "" || o.Log == nil || o.Lead == nil {
		return errors.New("leader: expected a client, a namespace, an identity, a log and something to lead")
	}
	if o.Name == "" {
		o.Name = DefaultName
	}
	if o.Lease == 0 {
		o.Lease = defaultLease
	}
	if o.Lease < minLease {
		return fmt.Errorf("leader: expected a lease of at least %s, got %s", minLease, o.Lease)
	}
	for ctx.Err() == nil {
		if err := term(ctx, o); err != nil {
			return err
		}
		timer := time.NewTimer(againAfter)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
	return nil
}

// term is one campaign, and the time of leading that follows if it is won. When
// ctx ends, the Lease is given back only after Lead has returned: the elector
// runs in a context that outlives ctx by that.
func term(ctx context.Context, o Options) error {
	quiet := logr.NewContextWithSlogLogger(context.WithoutCancel(ctx), slog.New(slog.DiscardHandler)) // what matters of it is logged here
	elected, end := context.WithCancel(quiet)
	defer end()
	t := &turn{}
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: speak(&resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name},
			Client:     o.Client.Typed.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: o.Identity},
		}, o.Log, o.Namespace+"/"+o.Name),
		Name:            o.Name,
		LeaseDuration:   o.Lease,
		RenewDeadline:   time.Duration(float64(o.Lease) * renewShare),
		RetryPeriod:     time.Duration(float64(o.Lease) * retryShare),
		ReleaseOnCancel: true,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(held context.Context) { t.run(func() { o.lead(ctx, held) }) },
			OnStoppedLeading: func() {},
		},
	})
	if err != nil {
		return fmt.Errorf("leader: %w", err)
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		elector.Run(elected)
	}()
	select {
	case <-stopped: // the Lease was lost
	case <-ctx.Done():
	}
	t.finish()
	end()
	<-stopped
	return nil
}

// A turn is the one run of Lead in a term. The elector starts it in a goroutine
// of its own, which may begin only after the term is over.
type turn struct {
	mu      sync.Mutex
	over    bool
	running chan struct{} // closed when Lead has returned; nil if it never began
}

func (t *turn) run(lead func()) {
	t.mu.Lock()
	if t.over {
		t.mu.Unlock()
		return
	}
	running := make(chan struct{})
	t.running = running
	t.mu.Unlock()
	defer close(running)
	lead()
}

// finish waits for Lead, which does not begin after it.
func (t *turn) finish() {
	t.mu.Lock()
	t.over = true
	running := t.running
	t.mu.Unlock()
	if running != nil {
		<-running
	}
}

// lead runs Lead until this replica is to end or no longer holds the Lease.
func (o Options) lead(ctx, held context.Context) {
	both, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(held, func() { cancel(errLost) })()
	o.Log.InfoContext(ctx, "this replica leads", "lease", o.Namespace+"/"+o.Name, "identity", o.Identity)
	o.Lead(both)
	o.Log.InfoContext(ctx, "this replica has stopped to lead", "lease", o.Namespace+"/"+o.Name, "identity", o.Identity)
}

// errLost is the cause of the end of Lead's context where another may lead.
var errLost = errors.New("leader: the Lease is lost")
