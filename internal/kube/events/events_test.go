package events_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/fake"

	"github.com/bonafide-dev/bonafide/internal/kube"
	"github.com/bonafide-dev/bonafide/internal/kube/events"
	"github.com/bonafide-dev/bonafide/internal/kube/kubetest"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

var shared rig.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

func newClient(t *testing.T) (*kube.Client, string) {
	t.Helper()
	cluster := shared.Cluster(t)
	return kubetest.Client(t, cluster.Config), cluster.Namespace(t, nil)
}

func newRecorder(t *testing.T, client *kube.Client, c *kubetest.Clock, journal *kubetest.Journal) *events.Recorder {
	t.Helper()
	r, err := events.New(events.Options{
		Client: client, Component: "bonafide", Instance: "replica", Now: c.Now, Log: journal.Log(),
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// run runs it until all that was recorded is written.
func run(t *testing.T, r *events.Recorder) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.Run(ctx) // what waits is written at its end
}

func written(t *testing.T, client *kube.Client, namespace string) []string {
	t.Helper()
	list, err := client.Typed.CoreV1().Events(namespace).List(t.Context(), metav1.ListOptions{FieldSelector: "source=bonafide"})
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range list.Items {
		all = append(all, fmt.Sprintf("%s/%s %s %s: %s x%d", e.InvolvedObject.Kind, e.InvolvedObject.Name, e.Type, e.Reason, e.Message, e.Count))
	}
	return all
}

func TestTheSameEventIsWrittenOncePerWindow(t *testing.T) {
	client, namespace := newClient(t)
	var clock kubetest.Clock
	r := newRecorder(t, client, &clock, &kubetest.Journal{})
	about := corev1.ObjectReference{APIVersion: "v1", Kind: "Secret", Namespace: namespace, Name: "bonafide-tls"}
	for range 3 {
		r.Event(t.Context(), about, corev1.EventTypeWarning, "CertificateReplaced", "it had expired")
	}
	run(t, r)
	want := "Secret/bonafide-tls Warning CertificateReplaced: it had expired x1"
	if got := written(t, client, namespace); len(got) != 1 || got[0] != want {
		t.Errorf("want %q alone, got %q", want, got)
	}
	clock.Advance(events.DefaultWindow)
	r.Event(t.Context(), about, corev1.EventTypeWarning, "CertificateReplaced", "it had expired")
	run(t, r)
	if got := strings.Join(written(t, client, namespace), "\n"); !strings.Contains(got, "x3") {
		t.Errorf("after the window: want one with the count of those before, got %q", got)
	}
}

func TestEventsAboutClusterScopedObjectsAreInDefault(t *testing.T) {
	client, _ := newClient(t)
	r := newRecorder(t, client, &kubetest.Clock{}, &kubetest.Journal{})
	about := corev1.ObjectReference{APIVersion: "admissionregistration.k8s.io/v1", Kind: "ValidatingWebhookConfiguration", Name: "bonafide"}
	r.Event(t.Context(), about, corev1.EventTypeNormal, "WebhookRegistered", strings.Repeat("é", 2000))
	run(t, r)
	got := written(t, client, metav1.NamespaceDefault)
	if len(got) != 1 || !strings.HasPrefix(got[0], "ValidatingWebhookConfiguration/bonafide Normal WebhookRegistered: éé") || !strings.HasSuffix(got[0], "é… x1") {
		t.Errorf("want one Event with a bounded message, got %q", got)
	}
}

func TestRecorderNeitherBlocksNorFailsItsCaller(t *testing.T) {
	client := &kube.Client{Typed: fake.NewClientset()}
	var journal kubetest.Journal
	r := newRecorder(t, client, &kubetest.Clock{}, &journal)
	const many = 1000
	for i := range many { // nobody writes them
		r.Event(t.Context(), corev1.ObjectReference{Kind: "Pod", Namespace: "a", Name: "p"}, corev1.EventTypeNormal, "Denied", fmt.Sprint(i))
	}
	if !strings.Contains(journal.Said(), "dropped an Event") {
		t.Errorf("want the log to say what was dropped, got %q", journal.Said())
	}
	run(t, r)
	list, err := client.Typed.CoreV1().Events("a").List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if len(list.Items) == 0 || len(list.Items) >= many {
		t.Errorf("want the first of them, bounded, got %d", len(list.Items))
	}
	var none *events.Recorder
	none.Event(t.Context(), corev1.ObjectReference{}, corev1.EventTypeNormal, "Denied", "")
}

func TestRefusedEventIsLogged(t *testing.T) {
	cluster := shared.Cluster(t)
	client := kubetest.Client(t, cluster.ConfigFor(t, "alice"))
	var journal kubetest.Journal
	r := newRecorder(t, client, &kubetest.Clock{}, &journal)
	r.Event(t.Context(), corev1.ObjectReference{Kind: "Pod", Namespace: "default", Name: "p"}, corev1.EventTypeNormal, "Denied", "for the test")
	run(t, r)
	if !strings.Contains(journal.Said(), "cannot write an Event") {
		t.Errorf("want a line in the log, got %q", journal.Said())
	}
	if _, err := events.New(events.Options{}); err == nil {
		t.Error("want an error for no options")
	}
}
