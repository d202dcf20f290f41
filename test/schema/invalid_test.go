package schema_test

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestInvalidExamplesAreRefused creates what each file of examples/invalid holds,
// as kubectl create does. Its first line says, after "# expect: ", what the API
// server must answer.
func TestInvalidExamplesAreRefused(t *testing.T) {
	c := cluster(t)
	files := list(t, invalid, ".yaml")
	if len(files) < len(resources()) {
		t.Fatalf("want files in %s, got %q", invalid, files)
	}
	for _, name := range files {
		t.Run(strings.TrimSuffix(name, ".yaml"), func(t *testing.T) {
			content := read(t, filepath.Join(invalid, name))
			line, _, _ := strings.Cut(string(content), "\n")
			want, says := strings.CutPrefix(line, "# expect: ")
			if !says || want == "" {
				t.Fatalf(`want a first line "# expect: …", got %q`, line)
			}
			objects := natives(t, content)
			if len(objects) != 1 {
				t.Fatalf("want one object, got %d", len(objects))
			}
			_, err := client(t, c, objects[0]).Create(t.Context(), objects[0], metav1.CreateOptions{FieldValidation: metav1.FieldValidationStrict})
			if err == nil {
				remove(t, c, objects[0])
			}
			if !apierrors.IsInvalid(err) || !strings.Contains(err.Error(), want) {
				t.Errorf("want it refused with %q, got %v", want, err)
			}
			if causes := causesOf(err); len(causes) > 1 {
				t.Errorf("want one mistake, got %q", causes)
			}
		})
	}
}

// causesOf returns what the API server found wrong, without the checks that it
// did not come to for that.
func causesOf(err error) []string {
	var status apierrors.APIStatus
	if !errors.As(err, &status) || status.Status().Details == nil {
		return nil
	}
	var causes []string
	for _, cause := range status.Status().Details.Causes {
		if !strings.Contains(cause.Message, "some validation rules were not checked") {
			causes = append(causes, cause.Field+": "+cause.Message)
		}
	}
	return causes
}
