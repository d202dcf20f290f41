package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// timeout bounds one review, as a webhook configuration does.
const timeout = 10 * time.Second

// maxAnswer bounds what is read of an answer.
const maxAnswer = 1 << 20

// heard is what a door answered.
type heard struct {
	admitted bool
	says     string // why not, or what was done
}

// door sends requests as an API server, Gatekeeper and Kyverno do.
type door struct {
	url    string
	client *http.Client
}

// post sends a document and returns the status and the body of the answer.
func (d *door) post(ctx context.Context, path string, document any) (int, []byte, error) {
	body, err := json.Marshal(document)
	if err != nil {
		return 0, nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, d.url+path, bytes.NewReader(body))
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := d.client.Do(request)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	var answer bytes.Buffer
	_, err = io.Copy(&answer, io.LimitReader(response.Body, maxAnswer))
	return response.StatusCode, answer.Bytes(), err
}

// reviewed is what the demo reads of a review's answer.
type reviewed struct {
	Response struct {
		Allowed  bool     `json:"allowed"`
		Patch    []byte   `json:"patch"`
		Warnings []string `json:"warnings"`
		Status   struct {
			Message string `json:"message"`
		} `json:"status"`
	} `json:"response"`
}

// review asks an admission door about a Pod with one container.
func (d *door) review(ctx context.Context, path, namespace, image string) (reviewed, error) {
	var a reviewed
	status, answer, err := d.post(ctx, path+"?timeout="+timeout.String(), map[string]any{
		"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
		"request": map[string]any{
			"uid": "b0a7f1de-0000-4000-8000-000000000001", "operation": "CREATE", "namespace": namespace, "name": "app",
			"kind":     map[string]string{"group": "", "version": "v1", "kind": "Pod"},
			"resource": map[string]string{"group": "", "version": "v1", "resource": "pods"},
			"object": map[string]any{
				"apiVersion": "v1", "kind": "Pod", "metadata": map[string]string{"name": "app", "namespace": namespace},
				"spec": map[string]any{"containers": []any{map[string]string{"name": "app", "image": image}}},
			},
		},
	})
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return a, fmt.Errorf("read the answer (%d): %w", status, err)
	}
	return a, nil
}

// admission asks both admission doors, as an API server does: what comes out of
// the mutating one goes into the validating one.
func (d *door) admission(ctx context.Context, namespace, image string) (heard, error) {
	mutated, err := d.review(ctx, "/admission/mutate", namespace, image)
	if err != nil || !mutated.Response.Allowed {
		return heard{says: reasonOf(mutated.Response.Status.Message)}, err
	}
	final, done := image, "as it is: "+notice(mutated.Response.Warnings)
	if len(mutated.Response.Patch) > 0 {
		var patch []struct{ Value string }
		if err := json.Unmarshal(mutated.Response.Patch, &patch); err != nil || len(patch) != 1 {
			return heard{}, fmt.Errorf("expected a patch of one image, got %q", mutated.Response.Patch)
		}
		final = patch[0].Value
		done = "pinned to " + digestOf(final)
	}
	validated, err := d.review(ctx, "/admission/validate", namespace, final)
	if err != nil || !validated.Response.Allowed {
		return heard{says: reasonOf(validated.Response.Status.Message)}, err
	}
	return heard{admitted: true, says: done}, nil
}

// notice is what a warning says beside the image's name.
func notice(warnings []string) string {
	if len(warnings) == 0 {
		return "nobody objects"
	}
	if i := strings.Index(warnings[0], "not verified"); i >= 0 {
		return warnings[0][i:]
	}
	return warnings[0]
}

// provided is an answer of an external-data provider.
type provided struct {
	Response struct {
		Items []struct {
			Key   string          `json:"key"`
			Value json.RawMessage `json:"value"`
			Error string          `json:"error"`
		} `json:"items"`
		SystemError string `json:"systemError"`
	} `json:"response"`
}

// provide asks an external-data path about one key.
func (d *door) provide(ctx context.Context, path, key string) (provided, error) {
	var a provided
	status, answer, err := d.post(ctx, path, map[string]any{
		"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderRequest",
		"request": map[string]any{"keys": []string{key}},
	})
	if err != nil {
		return a, err
	}
	if err := json.Unmarshal(answer, &a); err != nil {
		return a, fmt.Errorf("read the answer (%d): %w", status, err)
	}
	if a.Response.SystemError == "" && (len(a.Response.Items) != 1 || a.Response.Items[0].Key != key) {
		return a, fmt.Errorf("expected an item for %q, got %s", key, answer)
	}
	return a, nil
}

// ratify asks as Ratify's template and its mutator do.
func (d *door) ratify(ctx context.Context, image string) (heard, error) {
	a, err := d.provide(ctx, "/ratify/gatekeeper/v1/verify", image)
	if err != nil {
		return heard{}, err
	}
	if a.Response.SystemError != "" || a.Response.Items[0].Error != "" {
		return heard{says: a.Response.SystemError + a.Response.Items[0].Error}, nil
	}
	var report struct {
		IsSuccess       bool `json:"isSuccess"`
		VerifierReports []struct {
			Message string `json:"message"`
		} `json:"verifierReports"`
	}
	if err := json.Unmarshal(a.Response.Items[0].Value, &report); err != nil {
		return heard{}, fmt.Errorf("read the report: %w", err)
	}
	if !report.IsSuccess {
		says := "no report"
		if len(report.VerifierReports) > 0 {
			says = reasonOf(report.VerifierReports[0].Message)
		}
		return heard{says: says}, nil
	}
	mutated, err := d.provide(ctx, "/ratify/gatekeeper/v1/mutate", image)
	if err != nil || mutated.Response.SystemError != "" {
		return heard{says: mutated.Response.SystemError}, err
	}
	return heard{admitted: true, says: "isSuccess: true; the mutator puts " + digestOf(string(mutated.Response.Items[0].Value))}, nil
}

// cosignProvider asks as the cosign provider's template does.
func (d *door) cosignProvider(ctx context.Context, image string) (heard, error) {
	a, err := d.provide(ctx, "/validate", image)
	if err != nil {
		return heard{}, err
	}
	if a.Response.SystemError != "" {
		return heard{says: a.Response.SystemError}, nil
	}
	item := a.Response.Items[0]
	return heard{admitted: item.Error == "" && string(item.Value) == `"`+image+`_valid"`, says: strings.Trim(item.Error+string(item.Value), `"`)}, nil
}

// extension asks as a policy of Kyverno's does that calls a service.
func (d *door) extension(ctx context.Context, trustPolicy, registry, path, tag string, attestations any) (heard, error) {
	status, answer, err := d.post(ctx, "/checkimages", map[string]any{
		"images": map[string]any{"containers": map[string]any{"app": map[string]string{
			"registry": registry, "path": path, "name": path[strings.LastIndex(path, "/")+1:], "tag": tag, "jsonPointer": "/spec/containers/0/image",
		}}},
		"trustPolicy": trustPolicy, "attestations": attestations,
	})
	if err != nil {
		return heard{}, err
	}
	var a struct {
		Verified bool `json:"verified"`
		Results  []struct {
			Value string `json:"value"`
		} `json:"results"`
	}
	if status != http.StatusOK {
		return heard{says: fmt.Sprintf("%d: %s", status, reasonOf(string(answer)))}, nil
	}
	if err := json.Unmarshal(answer, &a); err != nil || len(a.Results) != 1 {
		return heard{}, fmt.Errorf("expected one result, got %s (%w)", answer, err)
	}
	return heard{admitted: a.Verified, says: "200: verified; Kyverno puts " + digestOf(a.Results[0].Value)}, nil
}

// digestOf is the short digest of a reference.
func digestOf(reference string) string {
	_, digest, found := strings.Cut(reference, "@")
	if !found || len(digest) < len("sha256:")+shortHex {
		return "nothing"
	}
	return digest[:len("sha256:")+shortHex] + "…"
}
