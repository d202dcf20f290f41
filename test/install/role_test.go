package install_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// TestRole runs the real program at the real API server as the chart's
// ServiceAccount, with the flags of the chart's Deployment and no right but
// those of the chart's roles, and has it do all that it does in a cluster. Each
// feature is a subtest that looks at what comes of it. All requests go through a
// witness that knows which the API server forbade.
//
//   - Nothing is forbidden, and every feature works: the roles hold enough.
//   - Enough: the authorizer says so of each request, for each variant of the
//     roles: with the Secrets of every namespace, and with those of some.
//   - Needed: for each rule, the authorizer forbids something that the program did
//     to a user who has all the other rules. A chart without the rule would have
//     the program refused that.
//   - Without: so it is. The program runs once more for each rule, with all rights
//     but that one: a feature does not work, and it is to be seen why.
//   - Used: for each verb on each resource of each rule, and each name if the
//     rule names some, the authorizer permits something that the program did to a
//     user who has that alone. What is never used is too much.
//
// Lists has the rights to all Secrets, and runs as if the API server did not
// stream lists into watches, which became usual after the oldest version that the
// chart supports: only then does the program list what it watches. Streams has
// the rights to the Secrets of some namespaces, and runs as programs now do.
func TestRole(t *testing.T) {
	w := newWorld(t)
	w.inhabit(t)
	variants := map[string][]string{
		"Everything": {"--values", w.values(t)},
		// The Secrets of this world are in these two namespaces.
		"SecretsOfNamespaces": {"--set", "rbac.secretNamespaces={" + tenant + "},rbac.readPullSecrets=false"},
	}
	t.Run("Lists", func(t *testing.T) { w.exercise(t, "bonafide", "KUBE_FEATURE_WatchListClient=false") })
	t.Run("Streams", func(t *testing.T) {
		w.employ(t, "namespaces", grants(t, variants["SecretsOfNamespaces"]...))
		w.exercise(t, "namespaces")
	})
	if t.Failed() {
		return // what follows is about what a program does that works
	}
	asked := w.witness.Permitted()
	t.Logf("%d kinds of requests", len(asked))
	for variant, flags := range variants {
		all := grants(t, flags...)
		w.enough(t, variant, all, asked)
		w.needed(t, variant, all, asked)
		w.used(t, variant, all, asked)
	}
	w.unregistered(t)
	w.without(t)
}

// exercise runs the program and looks at every feature.
func (w *world) exercise(t *testing.T, account string, env ...string) {
	t.Cleanup(func() { w.tidy(t) })
	s := w.launch(t, w.witness, account, w.flags, env...)
	if err := within(t.Context(), startTime, s.Ready); err != nil {
		t.Fatalf("the program is not ready: %v; forbidden: %q", err, w.witness.Forbidden())
	}
	if err := s.connect(); err != nil {
		t.Fatal(err)
	}
	w.Apply(t, w.policies(), w.kyverno())
	w.lateKinds(t)
	for _, f := range s.features() {
		t.Run(f.name, func(t *testing.T) {
			if err := within(t.Context(), featureTime, f.works); err != nil {
				t.Errorf("%s: %v", f.reason, err)
			}
		})
	}
	t.Run("HomeStaysEmpty", func(t *testing.T) {
		entries, err := os.ReadDir(s.home)
		if err != nil || len(entries) > 0 { // the Pod's root is read-only
			t.Errorf("want nothing written to the home folder, got %v: %v", entries, err)
		}
	})
	t.Run("NothingIsForbidden", func(t *testing.T) {
		forbidden := w.witness.Forbidden()
		slices.Sort(forbidden)
		for _, request := range slices.Compact(forbidden) {
			t.Errorf("want no request forbidden, got %s", request)
		}
	})
}

// The bounds of waiting. A feature takes a second or two, and a start too; a
// loaded machine gets a multiple of that.
const (
	startTime   = time.Minute
	featureTime = 30 * time.Second
)

// within waits until the condition returns nil, for a time. The error is the last
// that says more than that the time was over.
func within(ctx context.Context, d time.Duration, condition func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	var last error
	err := rig.Poll(ctx, func(ctx context.Context) error {
		err := condition(ctx)
		if ctx.Err() == nil {
			last = err
		}
		return err
	})
	if err != nil && last != nil {
		return fmt.Errorf("within %s: %w", d, last)
	}
	return err
}

// launch runs the program as a ServiceAccount of the system namespace.
func (w *world) launch(t *testing.T, witness *rig.Witness, account string, flags []string, env ...string) *subject {
	t.Helper()
	s := &subject{world: w, home: t.TempDir(), reviewed: w.account(t, tenant, "kyverno").BearerToken}
	s.Bonafide = shared.LaunchBonafide(t, rig.BonafideOptions{
		Kubeconfig: w.KubeconfigFor(t, witness.Before(w.account(t, systemNamespace, account))),
		Flags:      flags, Env: slices.Concat(w.env, env, []string{"HOME=" + s.home, "XDG_CACHE_HOME="}),
	})
	w.balancer.Use(s.Bonafide)
	return s
}

// lateKinds brings kinds that did not exist when the program started, once.
func (w *world) lateKinds(t *testing.T) {
	t.Helper()
	w.late.Do(func() { w.Apply(w.t, definitionsOfOthers("notation.nirmata.io")) })
	w.Apply(t, w.nirmata())
}

// tidy removes what a run of the program left, so that the next begins anew.
func (w *world) tidy(t *testing.T) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
	now := int64(0)
	one, all := metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{}
	left := map[string]error{
		"mutating":   w.Client.AdmissionregistrationV1().MutatingWebhookConfigurations().Delete(ctx, "bonafide", one),
		"validating": w.Client.AdmissionregistrationV1().ValidatingWebhookConfigurations().Delete(ctx, "bonafide", one),
		"Secret":     w.Client.CoreV1().Secrets(systemNamespace).Delete(ctx, "bonafide-tls", one),
		"Lease":      w.Client.CoordinationV1().Leases(systemNamespace).Delete(ctx, "bonafide", one),
		"Pods":       w.Client.CoreV1().Pods(tenant).DeleteCollection(ctx, one, all),
	}
	for _, r := range reportKinds() {
		left[r.Resource] = w.Dynamic.Resource(r).Namespace(tenant).Delete(ctx, "bonafide", one)
	}
	for _, namespace := range []string{systemNamespace, tenant, metav1.NamespaceDefault} {
		left["Events of "+namespace] = w.Client.CoreV1().Events(namespace).DeleteCollection(ctx, one, all)
	}
	for what, err := range left {
		if err != nil && !apierrors.IsNotFound(err) {
			t.Errorf("delete what the program made: %s: %v", what, err)
		}
	}
}
