{{- define "millrace.name" -}}
{{- if contains .Chart.Name .Release.Name }}{{ .Release.Name | trunc 53 | trimSuffix "-" }}{{ else }}{{ printf "%s-%s" .Release.Name .Chart.Name | trunc 53 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "millrace.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "millrace.labels" -}}
{{ include "millrace.selector" . }}
app.kubernetes.io/version: {{ .Values.image.tag | default .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end }}

{{/* The cluster's secret: as given, as it was made up before, or a new one. */}}
{{- define "millrace.clusterSecret" -}}
{{- $made := lookup "v1" "Secret" .Release.Namespace (printf "%s-cluster" (include "millrace.name" .)) -}}
{{- if and $made $made.data }}{{ index $made.data "KAFKA_REST_CLUSTER_SECRET" }}{{ else }}{{ randAlphaNum 40 | b64enc }}{{ end }}
{{- end }}
