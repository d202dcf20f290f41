package reports

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/bonafide-dev/bonafide/internal/kube"
)

// Read hands each stored report of ours to visit, by the first API that is
// served; none if none is. In limits it to one namespace; empty: all. A report
// that somebody has made unreadable is passed over. What had no room when it was
// written is missing.
func Read(ctx context.Context, client *kube.Client, in string, visit func(Namespaced)) error {
	for _, a := range apis() {
		served, err := a.served(client)
		if err != nil {
			return err
		}
		if served {
			return a.read(ctx, client, in, visit)
		}
	}
	return nil
}

func (a api) read(ctx context.Context, client *kube.Client, in string, visit func(Namespaced)) error {
	options := metav1.ListOptions{Limit: pageSize, FieldSelector: "metadata.name=" + Name}
	for {
		page, err := client.Dynamic.Resource(a.resource).Namespace(in).List(ctx, options)
		if err != nil {
			return fmt.Errorf("reports: list %s: %w", a.resource.Resource, err)
		}
		for i := range page.Items {
			var d document
			if runtime.DefaultUnstructuredConverter.FromUnstructured(page.Items[i].Object, &d) == nil {
				visit(d.namespaced())
			}
		}
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return nil
		}
	}
}

func (d document) namespaced() Namespaced {
	n := Namespaced{Namespace: d.Metadata.Namespace}
	for _, r := range d.Results {
		n.Results = append(n.Results, Result{
			Policy: r.Policy, Rule: r.Rule, Category: r.Category, Severity: r.Severity, Outcome: r.Result,
			Message: r.Message, Resources: r.Resources, Properties: r.Properties,
		})
	}
	return n
}
