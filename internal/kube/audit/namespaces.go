package audit

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/kube"
)

// Labels are namespaces' labels as they were at one time. They are a
// [NamespaceLabels].
type Labels map[string]map[string]string

// Namespace implements NamespaceLabels.
func (l Labels) Namespace(name string) (map[string]string, bool) {
	labels, known := l[name]
	return labels, known
}

// ReadLabels reads the labels of one namespace, or of all if the name is empty.
func ReadLabels(ctx context.Context, client *kube.Client, in string) (Labels, error) {
	labels := Labels{}
	if in != "" {
		n, err := client.Typed.CoreV1().Namespaces().Get(ctx, in, metav1.GetOptions{})
		if err != nil {
			return nil, fmt.Errorf("audit: read namespace %q: %w", in, err)
		}
		labels.keep(n)
		return labels, nil
	}
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := client.Typed.CoreV1().Namespaces().List(ctx, options)
		if err != nil {
			return nil, fmt.Errorf("audit: list namespaces: %w", err)
		}
		for i := range page.Items {
			labels.keep(&page.Items[i])
		}
		if options.Continue = page.Continue; options.Continue == "" {
			return labels, nil
		}
	}
}

// keep holds labels that are known, though there be none.
func (l Labels) keep(n *corev1.Namespace) {
	if l[n.Name] = n.Labels; n.Labels == nil {
		l[n.Name] = map[string]string{}
	}
}
