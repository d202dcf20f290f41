package reports

import (
	"context"
	"errors"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"

	"github.com/bonafide-dev/bonafide/internal/kube"
)

// pageSize is how many stored reports are held at once: each may be 1 MiB.
const pageSize = 10

// api is one of the APIs that reports are written in.
type api struct {
	resource schema.GroupVersionResource
	kind     string
	sourced  bool // reports name their source
}

func apis() []api {
	return []api{
		{resource: schema.GroupVersionResource{Group: "wgpolicyk8s.io", Version: "v1alpha2", Resource: "policyreports"}, kind: "PolicyReport"},
		{resource: schema.GroupVersionResource{Group: "openreports.io", Version: "v1alpha1", Resource: "reports"}, kind: "Report", sourced: true},
	}
}

func (a api) typeMeta() metav1.TypeMeta {
	return metav1.TypeMeta{APIVersion: a.resource.GroupVersion().String(), Kind: a.kind}
}

// Written counts what Write did, over all APIs.
type Written struct {
	APIs                                 []string // that are served, as "PolicyReport.wgpolicyk8s.io/v1alpha2"
	Created, Updated, Deleted, Unchanged int
}

// Write makes the stored reports those of the namespaces: it creates what is
// missing, updates what differs but for time, and deletes our reports of
// namespaces without results. Two reports of one namespace are an error. In limits
// it to one namespace; empty: all. A namespace whose report cannot be written
// keeps no other from being written; the error joins them all. Where neither API
// is served it writes nothing, which is no error.
func Write(ctx context.Context, client *kube.Client, in string, reports []Namespaced, now time.Time) (Written, error) {
	var w Written
	var errs []error
	byNamespace := make(map[string]Namespaced, len(reports))
	for _, r := range reports {
		if _, twice := byNamespace[r.Namespace]; twice {
			return w, fmt.Errorf("reports: expected one report of namespace %q, got two", r.Namespace)
		}
		if len(r.Results) > 0 {
			byNamespace[r.Namespace] = r
		}
	}
	for _, a := range apis() {
		served, err := a.served(client)
		if err != nil {
			errs = append(errs, err)
		}
		if !served {
			continue
		}
		w.APIs = append(w.APIs, a.kind+"."+a.resource.GroupVersion().String())
		errs = append(errs, (&writing{api: a, client: client, now: now, wanted: byNamespace, written: &w}).all(ctx, in)...)
	}
	return w, errors.Join(errs...)
}

// served asks the API server whether it has the API.
func (a api) served(client *kube.Client) (bool, error) {
	version := a.resource.GroupVersion().String()
	list, err := client.Typed.Discovery().ServerResourcesForGroupVersion(version)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("reports: ask whether %s is served: %w", version, err)
	}
	for _, r := range list.APIResources {
		if r.Name == a.resource.Resource {
			return true, nil
		}
	}
	return false, nil
}

// writing is the work in one API.
type writing struct {
	api     api
	client  *kube.Client
	now     time.Time
	wanted  map[string]Namespaced
	written *Written
}

// all goes over what is stored, and then creates what was not there.
func (w *writing) all(ctx context.Context, in string) []error {
	var errs []error
	seen := map[string]bool{}
	options := metav1.ListOptions{Limit: pageSize, FieldSelector: "metadata.name=" + Name}
	for {
		page, err := w.client.Dynamic.Resource(w.api.resource).Namespace(in).List(ctx, options)
		if err != nil {
			return append(errs, fmt.Errorf("reports: list %s: %w", w.api.resource.Resource, err))
		}
		for i := range page.Items {
			stored := &page.Items[i]
			seen[stored.GetNamespace()] = true
			errs = append(errs, w.settle(ctx, stored))
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			break
		}
	}
	for namespace, wanted := range w.wanted {
		if !seen[namespace] {
			errs = append(errs, w.create(ctx, wanted))
		}
	}
	return errs
}

// settle updates or deletes a stored report, or leaves it alone.
func (w *writing) settle(ctx context.Context, stored *unstructured.Unstructured) error {
	namespace := stored.GetNamespace()
	wanted, found := w.wanted[namespace]
	if !found {
		err := w.in(namespace).Delete(ctx, Name, metav1.DeleteOptions{})
		return w.done(&w.written.Deleted, "delete", namespace, err)
	}
	d, err := content(wanted, w.api, w.now)
	if err != nil {
		return err
	}
	var old document
	readable := runtime.DefaultUnstructuredConverter.FromUnstructured(stored.Object, &old) == nil
	if readable && same(old, d) {
		w.written.Unchanged++
		return nil
	}
	d.Metadata.ResourceVersion = stored.GetResourceVersion()
	object, err := d.object()
	if err != nil {
		return err
	}
	_, err = w.in(namespace).Update(ctx, object, metav1.UpdateOptions{})
	return w.done(&w.written.Updated, "update", namespace, err)
}

func (w *writing) create(ctx context.Context, n Namespaced) error {
	d, err := content(n, w.api, w.now)
	if err != nil {
		return err
	}
	object, err := d.object()
	if err != nil {
		return err
	}
	_, err = w.in(n.Namespace).Create(ctx, object, metav1.CreateOptions{})
	if apierrors.HasStatusCause(err, "NamespaceTerminating") || apierrors.IsNotFound(err) {
		return nil // the namespace went away meanwhile, and its Pods with it
	}
	return w.done(&w.written.Created, "create", n.Namespace, err)
}

// done counts a write, or says which failed. What went away meanwhile is as it
// should be, or is made by the next audit.
func (w *writing) done(count *int, verb, namespace string, err error) error {
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("reports: %s the %s of namespace %q: %w", verb, w.api.kind, namespace, err)
	}
	*count++
	return nil
}

func (w *writing) in(namespace string) dynamic.ResourceInterface {
	return w.client.Dynamic.Resource(w.api.resource).Namespace(namespace)
}

func (d document) object() (*unstructured.Unstructured, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&d)
	if err != nil {
		return nil, fmt.Errorf("reports: write a report: %w", err)
	}
	return &unstructured.Unstructured{Object: fields}, nil
}
