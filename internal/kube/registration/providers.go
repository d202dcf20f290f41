package registration

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
)

// InjectLabel with the value "true" on a Gatekeeper Provider asks for our
// authorities in its spec.caBundle.
const InjectLabel = "bonafide.dev/inject-ca"

// maxProviders bounds how many Providers are looked at. A cluster has one for
// each kind of question.
const maxProviders = 100

// inject writes the bundle into every Provider that asks for it, where the
// cluster has that kind.
func (r *registrar) inject(ctx context.Context, bundle []byte) error {
	providers, list, err := r.providers(ctx)
	if err != nil || list == nil {
		return err
	}
	want := base64.StdEncoding.EncodeToString(bundle)
	var errs []error
	for i := range list.Items {
		p := &list.Items[i]
		if have, _, _ := unstructured.NestedString(p.Object, "spec", "caBundle"); have == want {
			continue
		}
		if err := patch(ctx, providers, p, want); err != nil {
			errs = append(errs, fmt.Errorf("write the authorities into Provider %q: %w", p.GetName(), err))
			continue
		}
		r.options.Log.InfoContext(ctx, "wrote the authorities into a Provider", "name", p.GetName())
	}
	return errors.Join(errs...)
}

// providers lists those that carry the label, by the newest version that is
// served; nil if the kind is not.
func (r *registrar) providers(ctx context.Context) (dynamic.ResourceInterface, *unstructured.UnstructuredList, error) {
	for _, version := range []string{"v1", "v1beta1"} {
		client := r.options.Client.Dynamic.Resource(schema.GroupVersionResource{Group: "externaldata.gatekeeper.sh", Version: version, Resource: "providers"})
		list, err := client.List(ctx, metav1.ListOptions{LabelSelector: InjectLabel + "=true", Limit: maxProviders})
		if err == nil {
			return client, list, nil
		}
		if !apierrors.IsNotFound(err) {
			return nil, nil, fmt.Errorf("list Gatekeeper Providers: %w", err)
		}
	}
	return nil, nil, nil
}

// patch changes the one field, unless the Provider changed since it was read.
func patch(ctx context.Context, client dynamic.ResourceInterface, p *unstructured.Unstructured, bundle string) error {
	body, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": p.GetResourceVersion()},
		"spec":     map[string]any{"caBundle": bundle},
	})
	if err != nil {
		return err
	}
	_, err = client.Patch(ctx, p.GetName(), types.MergePatchType, body, metav1.PatchOptions{})
	return err
}
