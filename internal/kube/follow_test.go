package kube_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/bonafide-dev/bonafide/internal/kube"
	"github.com/bonafide-dev/bonafide/internal/kube/kubetest"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

var shared rig.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

// A scene is a ConfigMap that a duty follows by a client that may be a bad one,
// while the test changes it by a good one.
type scene struct {
	direct    *kube.Client
	namespace string
	journal   kubetest.Journal
	ticks     chan time.Time
	changed   chan struct{}
	looks     atomic.Int64
	saw       atomic.Pointer[string] // what the last look saw
	resting   time.Duration
}

func newScene(t *testing.T) *scene {
	t.Helper()
	cluster := shared.Cluster(t)
	return &scene{
		direct: kubetest.Client(t, cluster.Config), namespace: cluster.Namespace(t, nil),
		ticks: make(chan time.Time), changed: make(chan struct{}),
	}
}

const name = "followed"

// follow begins, and returns after the first look.
func (s *scene) follow(t *testing.T, config *rest.Config) (stop func()) {
	t.Helper()
	d := kube.Duty{
		Client: kubetest.Client(t, config), Look: s.look, Ticks: s.ticks, Changed: s.changed, Rest: s.resting,
		Objects: []kube.Object{{Resource: corev1.SchemeGroupVersion.WithResource("configmaps"), Namespace: s.namespace, Name: name}},
		Faults:  &kube.Faults{Log: s.journal.Log(), Duty: "keep the test"},
	}
	stop = kubetest.Run(t, d.Follow)
	s.sees(t, "")
	return stop
}

func (s *scene) look(ctx context.Context) error {
	found, err := s.direct.Typed.CoreV1().ConfigMaps(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	var seen strings.Builder
	for _, m := range found.Items {
		if m.Name == name {
			seen.WriteString(m.Data["is"])
		}
	}
	s.saw.Store(new(seen.String()))
	s.looks.Add(1)
	return nil
}

func (s *scene) sees(t *testing.T, want string) {
	t.Helper()
	rig.Eventually(t, "the change is seen", func(context.Context) error {
		if saw := s.saw.Load(); saw == nil || *saw != want {
			return fmt.Errorf("expected %q, got %v", want, saw)
		}
		return nil
	})
}

// is makes the ConfigMap say that, or deletes it.
func (s *scene) is(t *testing.T, what string) {
	t.Helper()
	maps := s.direct.Typed.CoreV1().ConfigMaps(s.namespace)
	if what == "" {
		if err := maps.Delete(t.Context(), name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		return
	}
	object := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}, Data: map[string]string{"is": what}}
	_, err := maps.Update(t.Context(), object, metav1.UpdateOptions{})
	if apierrors.IsNotFound(err) {
		_, err = maps.Create(t.Context(), object, metav1.CreateOptions{})
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestFollowSeesEveryChange(t *testing.T) {
	s := newScene(t)
	stop := s.follow(t, s.direct.Config)
	for _, what := range []string{"made", "edited", "", "made again"} {
		s.is(t, what)
		s.sees(t, what)
	}
	stop()
	before := s.looks.Load()
	s.is(t, "unseen")
	if s.looks.Load() != before {
		t.Error("want no look after the end")
	}
}

func TestFollowIgnoresWhatIsNotItsObject(t *testing.T) {
	s := newScene(t)
	s.follow(t, s.direct.Config)
	s.is(t, "first")
	s.sees(t, "first")
	s.ticks <- time.Time{} // the look after it is over when the next is taken
	s.ticks <- time.Time{}
	before := s.looks.Load()
	other := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "other"}}
	if _, err := s.direct.Typed.CoreV1().ConfigMaps(s.namespace).Create(t.Context(), other, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	s.is(t, "second")
	s.sees(t, "second")
	if got := s.looks.Load(); got > before+2 {
		t.Errorf("want a look for one change, and one for the tick before it, got %d", got-before)
	}
}

// TestFollowLosesNothingWhereWatchesAreCut changes an object while its watches
// are cut again and again, and without a tick.
func TestFollowLosesNothingWhereWatchesAreCut(t *testing.T) {
	s := newScene(t)
	proxy := kubetest.StartProxy(t, s.direct.Config)
	s.follow(t, proxy.Config)
	for i := range 10 {
		what := fmt.Sprint("edit ", i)
		if i%2 == 0 {
			proxy.Cut()
		}
		s.is(t, what)
		if i%3 == 0 {
			proxy.Cut()
		}
		s.sees(t, what)
	}
	proxy.Watches(kubetest.Drop)
	s.is(t, "while no watch stands")
	s.sees(t, "while no watch stands") // by the list before the next try
	s.is(t, "")
	proxy.Watches(kubetest.Pass)
	s.sees(t, "")
}

// TestFollowIsNoHotLoopWhereWatchesAreDropped counts what a server is asked that
// ends each watch at once.
func TestFollowIsNoHotLoopWhereWatchesAreDropped(t *testing.T) {
	s := newScene(t)
	s.is(t, "there")
	proxy := kubetest.StartProxy(t, s.direct.Config)
	proxy.Watches(kubetest.Drop)
	began := time.Now()
	s.saw.Store(new(""))
	s.follow(t, proxy.Config)
	const drops = 4
	rig.Eventually(t, "watches are dropped", func(context.Context) error {
		if n := proxy.Dropped(); n < drops {
			return fmt.Errorf("expected %d, got %d", drops, n)
		}
		return nil
	})
	took, asked, looks := time.Since(began), proxy.Asked(), s.looks.Load()
	t.Logf("%d requests and %d looks in %s", asked, looks, took)
	if least := time.Second; took < least {
		t.Errorf("want at least %s, got %s", least, took)
	}
	if most := int64(3 * drops); asked > most || looks > most {
		t.Errorf("want at most %d requests and looks, got %d and %d", most, asked, looks)
	}
}

func TestFollowSeesAtATickWhatASilentWatchMissed(t *testing.T) {
	s := newScene(t)
	proxy := kubetest.StartProxy(t, s.direct.Config)
	s.follow(t, proxy.Config)
	proxy.Watches(kubetest.Silent)
	s.is(t, "unheard of")
	for range 2 {
		s.ticks <- time.Time{}
	}
	s.sees(t, "unheard of")
	s.is(t, "unheard of too")
	for range 2 {
		s.changed <- struct{}{}
	}
	s.sees(t, "unheard of too")
}

// TestFollowRestsWhereSomebodyInsists has an opponent that changes the object as
// fast as it can.
func TestFollowRestsWhereSomebodyInsists(t *testing.T) {
	s := newScene(t)
	s.resting = 300 * time.Millisecond
	s.follow(t, s.direct.Config)
	began, before := time.Now(), s.looks.Load()
	for i := range 100 {
		s.is(t, fmt.Sprint(i))
	}
	s.sees(t, "99")
	took := time.Since(began)
	if most := int64(took/s.resting) + 2; s.looks.Load()-before > most {
		t.Errorf("in %s: want at most %d looks, got %d", took, most, s.looks.Load()-before)
	}
}

// TestFollowWithoutRightsSaysSoOnce begins with a user whom nothing is granted.
func TestFollowWithoutRightsSaysSoOnce(t *testing.T) {
	s := newScene(t)
	cluster := shared.Cluster(t)
	s.follow(t, cluster.ConfigFor(t, "alice"))
	for range 5 {
		s.ticks <- time.Time{}
	}
	cannot := `"cannot watch configmaps ` + s.namespace + "/" + name
	rig.Eventually(t, "it says so", func(context.Context) error {
		if s.journal.Count(cannot) != 1 {
			return fmt.Errorf("expected it once, got\n%s", s.journal.Said())
		}
		return nil
	})
	kubetest.Grant(t, s.direct, s.namespace, "alice", rbacv1.PolicyRule{
		APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{name}, Verbs: []string{"list", "watch"},
	})
	rig.Eventually(t, "it says that it is over", func(context.Context) error {
		if s.journal.Count(cannot) != 1 || s.journal.Count("can watch configmaps") != 1 {
			return fmt.Errorf("expected it once, got\n%s", s.journal.Said())
		}
		return nil
	})
	s.is(t, "allowed")
	s.sees(t, "allowed")
}

func TestFaultsAreSaidOnce(t *testing.T) {
	var journal kubetest.Journal
	faults := &kube.Faults{Log: journal.Log(), Duty: "keep the test"}
	one, other := errors.New("one"), errors.New("other")
	for _, err := range []error{nil, one, one, other, nil, nil, one} {
		faults.Note(t.Context(), err)
	}
	var got []string
	for line := range strings.Lines(journal.Said()) {
		_, line, _ = strings.Cut(line, "level=")
		got = append(got, strings.TrimSpace(line))
	}
	want := []string{
		`ERROR msg="cannot keep the test" error=one`, `ERROR msg="cannot keep the test" error=other`, `INFO msg="can keep the test again"`,
		`ERROR msg="cannot keep the test" error=one`,
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("want\n%s\ngot\n%s", strings.Join(want, "\n"), strings.Join(got, "\n"))
	}
}

func TestDutysFaultsAreLogged(t *testing.T) {
	s := newScene(t)
	var failing atomic.Bool
	failing.Store(true)
	d := kube.Duty{
		Client: s.direct, Ticks: s.ticks, Faults: &kube.Faults{Log: s.journal.Log(), Duty: "keep the test"},
		Look: func(context.Context) error {
			if failing.Load() {
				return errors.New("boom")
			}
			return nil
		},
	}
	kubetest.Run(t, d.Follow)
	for range 3 {
		s.ticks <- time.Time{}
	}
	failing.Store(false)
	for range 2 {
		s.ticks <- time.Time{}
	}
	if s.journal.Count("boom") != 1 || s.journal.Count("can keep the test again") != 1 {
		t.Errorf("want the fault once, and its end, got\n%s", s.journal.Said())
	}
}
