package cluster_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// exception is one of an image, for a while from now; more are lines of its spec.
func exception(name, image string, life time.Duration, more ...string) string {
	return fmt.Sprintf(`
apiVersion: bonafide.dev/v1alpha1
kind: VerificationException
metadata: {name: %s}
spec:
  images: [%q]
  reason: the words of %s
  expires: %q
  %s
`, name, image, name, time.Now().Add(life).UTC().Format(time.RFC3339), strings.Join(more, "\n  "))
}

const breakGlass = "breakGlass: true"

// guarded is an installation with a policy, at two replicas. What is written
// before is applied while no replica runs that could refuse it.
func guarded(t *testing.T, before ...string) (i *installation, written []*unstructured.Unstructured) {
	t.Helper()
	i = prepare(t)
	written = i.Apply(t, before...)
	i.serve(t, 2)
	i.awaitRegistered(t, i.namespace)
	i.secret(t, "release", rig.NewKey(t))
	i.ready(t, i.Apply(t, i.policy("release", "release"))[0])
	return i, written
}

// refusedImage pushes an image that no key signed, and returns its digest and
// its name by that, once every replica refuses it.
func (i *installation) refusedImage(t *testing.T, name string) (digest, image string) {
	t.Helper()
	pushed := rig.Push(t, i.registry, name)
	repository, _, _ := strings.Cut(name, ":")
	digest, image = pushed.Digest.String(), i.registry.Host()+"/"+repository+"@"+pushed.Digest.String()
	i.each(t, func() { i.becomes(t, image, "release") })
	return digest, image
}

// each does something with each replica alone.
func (i *installation) each(t *testing.T, do func()) {
	t.Helper()
	defer i.balancer.Use(i.replicas...)
	for _, replica := range i.replicas {
		i.balancer.Use(replica)
		do()
	}
}

// TestBreakGlassIsAnnouncedAtEachUse holds that nobody breaks glass unseen: each
// use is an Event, a count and a line in the log.
func TestBreakGlassIsAnnouncedAtEachUse(t *testing.T) {
	t.Parallel()
	i, _ := guarded(t)
	digest, image := i.refusedImage(t, "acme/app:1")
	i.ready(t, i.Apply(t, exception("incident", digest, time.Hour, breakGlass))[0])
	i.each(t, func() { i.becomes(t, image, "") }) // dry runs, which are no use

	const uses = 6
	for range uses / 2 {
		i.admitted(t, i.namespace, image)
		i.recreated(t, "db-0", image)
	}
	i.awaitMetric(t, uses, "bonafide_exception_uses_total", `exception="incident"`, `break_glass="true"`)
	if got := i.logged(t, "BREAK GLASS", "exception=incident", "policy=release", i.namespace, "image="+image); got != uses {
		t.Errorf("want %d lines in the log, got %d", uses, got)
	}
	rig.Eventually(t, "an Event for each use", func(ctx context.Context) error {
		events, err := i.Client.CoreV1().Events(metav1.NamespaceDefault).List(ctx, metav1.ListOptions{
			FieldSelector: "reason=BreakGlassUsed,type=Warning,involvedObject.kind=VerificationException,involvedObject.name=incident",
		})
		if err != nil {
			return err
		}
		var count int32
		var messages []string
		for _, e := range events.Items {
			count += e.Count
			messages = append(messages, fmt.Sprintf("%dx %s", e.Count, e.Message))
		}
		if count != uses {
			return fmt.Errorf("expected %d Events or as many counted, got %d: %q", uses, count, messages)
		}
		for _, m := range messages {
			if !strings.Contains(m, i.namespace) {
				return fmt.Errorf("expected the namespace in the message, got %q", m)
			}
		}
		return nil
	})
}

// recreated creates a Pod by a name that it has each time, as a StatefulSet does,
// and deletes it.
func (i *installation) recreated(t *testing.T, name, image string) {
	t.Helper()
	pod := rig.NewPod(image)
	pod.Name = name
	pods := i.Client.CoreV1().Pods(i.namespace)
	if _, err := pods.Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if err := pods.Delete(t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: new(int64(0))}); err != nil {
		t.Fatal(err)
	}
}

// TestBreakGlassEnds holds that an emergency is over within a day.
func TestBreakGlassEnds(t *testing.T) {
	t.Parallel()
	i, written := guarded(t, exception("long", "**", 25*time.Hour, breakGlass))
	t.Run("AfterADayIsRefused", func(t *testing.T) {
		long := written[0]
		_, image := i.refusedImage(t, "acme/days:1")
		i.Await(t, long, condition("Ready", "False", "InvalidPolicy"))
		i.says(t, long, "expected at most 24 hours after it was created", "emergency", "the exception lifts nothing")
		if i.tried(t.Context(), i.namespace, image) == nil {
			t.Errorf("want %s refused for good, got it admitted", image)
		}
	})
	t.Run("ExpiredIsVoid", func(t *testing.T) {
		digest, image := i.refusedImage(t, "acme/soon:1")
		short := i.Apply(t, exception("short", digest, 8*time.Second, breakGlass))[0]
		i.becomes(t, image, "")
		i.each(t, func() { i.becomes(t, image, "release") })
		i.Await(t, short, condition("Ready", "False", "Expired"))
	})
}

// TestConflictingExceptions holds that of several exceptions each one means what
// it would alone: what one is void for, another may lift, and no deny list.
func TestConflictingExceptions(t *testing.T) {
	t.Parallel()
	repository := "127.0.0.1:1/acme/void"
	i, objects := guarded(t,
		exception("ended", repository, -time.Hour),
		exception("too-long", repository, 91*24*time.Hour),
		exception("too-long-for-glass", repository, 25*time.Hour, breakGlass))
	t.Run("VoidBesideGood", func(t *testing.T) {
		digest, image := i.refusedImage(t, "acme/void:1")
		i.Await(t, objects[0], condition("Ready", "False", "Expired"))
		for _, bad := range objects[1:] {
			i.Await(t, bad, condition("Ready", "False", "InvalidPolicy"))
		}
		i.says(t, objects[1], "expected at most 2160 hours after it was created")
		i.ready(t, i.Apply(t, exception("good", digest, time.Hour))[0])
		i.each(t, func() { i.lifts(t, i.namespace, image, "good") })
	})
	t.Run("BreakGlassBesideOther", func(t *testing.T) {
		digest, image := i.refusedImage(t, "acme/glass:1")
		for _, o := range i.Apply(t, exception("b-glass", digest, time.Hour, breakGlass), exception("a-plain", digest, time.Hour)) {
			i.ready(t, o)
		}
		i.each(t, func() { i.lifts(t, i.namespace, image, "a-plain", "b-glass") }) // all that hold, always in this order
		i.admitted(t, i.namespace, image)
		for _, used := range []string{"a-plain", "b-glass"} {
			i.awaitMetric(t, 1, "bonafide_exception_uses_total", fmt.Sprintf("exception=%q", used))
		}
	})
	t.Run("NarrowBesideOther", func(t *testing.T) {
		digest, image := i.refusedImage(t, "acme/narrow:1")
		elsewhere := i.Namespace(t, nil)
		narrow := i.Apply(t, exception("narrow", digest, time.Hour, "match: {namespaces: ["+i.namespace+"]}"))[0]
		unrelated := i.Apply(t, exception("unrelated", digest, time.Hour, "policies: [another]"))[0]
		i.ready(t, narrow)
		i.ready(t, unrelated)
		i.each(t, func() { i.lifts(t, i.namespace, image, "narrow") })
		_, err := i.CreatePod(t.Context(), elsewhere, image)
		rig.WantRefused(t, err, "release", "no signature")
		i.Apply(t, exception("wide", digest, time.Hour))
		i.each(t, func() {
			i.lifts(t, elsewhere, image, "wide")
			i.lifts(t, i.namespace, image, "narrow", "wide")
		})
	})
	t.Run("DenyListOverAll", func(t *testing.T) {
		digest, image := i.refusedImage(t, "acme/denied:1")
		for _, o := range i.Apply(t, exception("glass-of-denied", digest, time.Hour, breakGlass), exception("denied", i.registry.Host()+"/acme/denied", time.Hour)) {
			i.ready(t, o)
		}
		i.each(t, func() { i.lifts(t, i.namespace, image, "denied", "glass-of-denied") })
		i.ready(t, i.Apply(t, fmt.Sprintf("apiVersion: bonafide.dev/v1alpha1\nkind: ImageDenyList\nmetadata: {name: stop}\nspec: {images: [%q], reason: taken over}", digest))[0])
		i.each(t, func() { i.becomes(t, image, "taken over") })
	})
}

// says checks the message of an object's condition.
func (i *installation) says(t *testing.T, object *unstructured.Unstructured, parts ...string) {
	t.Helper()
	i.Await(t, object, func(u *unstructured.Unstructured) error {
		conditions, _, err := unstructured.NestedSlice(u.Object, "status", "conditions")
		if err != nil || len(conditions) != 1 {
			return fmt.Errorf("expected one condition, got %v, %w", conditions, err)
		}
		c, _ := conditions[0].(map[string]any)
		message, _ := c["message"].(string)
		for _, part := range parts {
			if !strings.Contains(message, part) {
				return fmt.Errorf("expected %q in the message, got %q", part, message)
			}
		}
		return nil
	})
}

// lifts waits until an image is admitted by these exceptions and no others, as
// the warnings say.
func (i *installation) lifts(t *testing.T, namespace, image string, exceptions ...string) {
	t.Helper()
	rig.Eventually(t, "the exceptions", func(ctx context.Context) error {
		said, err := i.warned(ctx, namespace, image)
		if err != nil {
			return err
		}
		var by []string
		for _, text := range said {
			if _, rest, is := strings.Cut(text, ": lifted by "); is {
				name, _, _ := strings.Cut(rest, " ")
				by = append(by, name)
			}
		}
		by = slices.Compact(by) // both doors say it
		if diff := cmp.Diff(exceptions, by); diff != "" {
			return fmt.Errorf("exceptions (-want +got):\n%s%q", diff, said)
		}
		return nil
	})
}
