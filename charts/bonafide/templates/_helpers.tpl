{{/*
Names are fixed: the webhook configurations, the Lease and the roles exist once
in a cluster, so there is one installation.
*/}}
{{- define "bonafide.name" -}}bonafide{{- end }}

{{- define "bonafide.selectorLabels" -}}
app.kubernetes.io/name: bonafide
app.kubernetes.io/component: server
{{- end }}

{{- define "bonafide.labels" -}}
app.kubernetes.io/name: bonafide
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "bonafide.image" -}}
{{- with .Values.image -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag | default $.Chart.AppVersion }}
{{- end -}}
{{- end -}}
{{- end }}

{{/* Flags of `bonafide serve`: only what differs from its defaults, and what the roll-out is about. */}}
{{- define "bonafide.args" -}}
- serve
- --service={{ include "bonafide.name" . }}
- --unmatched={{ .Values.unmatched }}
- --tag-ttl={{ .Values.tagTTL }}
- --audit-interval={{ .Values.auditInterval }}
- --log-level={{ .Values.log.level }}
- --log-format={{ .Values.log.format }}
{{- if .Values.observeOnly }}
- --observe-only
{{- end }}
{{- range .Values.onlyNamespaces }}
- --only-namespaces={{ . }}
{{- end }}
{{- range .Values.excludeNamespaces }}
- --exclude-namespaces={{ . }}
{{- end }}
{{- if not .Values.register }}
- --no-register
{{- end }}
{{- with .Values.trustedRoot }}
- --trusted-root={{ . }}
{{- end }}
{{- range .Values.checkimages.allowedUsers }}
- --allowed-user={{ . }}
{{- end }}
{{- range .Values.registries.allow }}
- --allow-registry={{ . }}
{{- end }}
{{- range .Values.registries.insecure }}
- --insecure-registry={{ . }}
{{- end }}
{{- range .Values.registries.pullSecrets }}
- --pull-secret={{ . }}
{{- end }}
{{- with .Values.registries.cloudCredentials }}
- --cloud-credentials={{ join "," . }}
{{- end }}
{{- if .Values.registries.configSecret }}
- --registries=/etc/bonafide/registries/registries.yaml
{{- end }}
{{- if .Values.tls.existingSecret }}
- --tls-cert=/etc/bonafide/tls/tls.crt
- --tls-key=/etc/bonafide/tls/tls.key
{{- end }}
{{- range .Values.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}
