package registration

import (
	"bytes"
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/kube"
)

// Spread returns nil if every webhook of the two configurations of the name
// trusts the bundle: a certificate of an authority that is new in it may then be
// served. It is what a certificates.Keeper asks before a new authority issues.
func Spread(client *kube.Client, name string) func(ctx context.Context, bundle []byte) error {
	return func(ctx context.Context, bundle []byte) error {
		api := client.Typed.AdmissionregistrationV1()
		mutating, err := api.MutatingWebhookConfigurations().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("registration: read what callers trust: %w", err)
		}
		validating, err := api.ValidatingWebhookConfigurations().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return fmt.Errorf("registration: read what callers trust: %w", err)
		}
		trusted := map[string][]byte{}
		for _, w := range mutating.Webhooks {
			trusted[w.Name] = w.ClientConfig.CABundle
		}
		for _, w := range validating.Webhooks {
			trusted[w.Name] = w.ClientConfig.CABundle
		}
		for webhook, has := range trusted {
			if !bytes.Equal(bytes.TrimSpace(has), bytes.TrimSpace(bundle)) {
				return fmt.Errorf("registration: expected webhook %q to trust the new authorities, got others", webhook)
			}
		}
		return nil
	}
}
