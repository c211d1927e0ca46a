{{/* Names, labels and what all pods have in common. */}}

{{- define "ordermill.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{- define "ordermill.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 63 | trimSuffix "-" -}}
{{- else if contains (include "ordermill.name" .) .Release.Name -}}
{{- .Release.Name | trunc 63 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "ordermill.name" .) | trunc 63 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "ordermill.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "ordermill.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "ordermill.image" -}}
{{- $path := .Values.image.repository -}}
{{- if .Values.image.registry -}}{{- $path = printf "%s/%s" .Values.image.registry $path -}}{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $path .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $path (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* What selects the pods of the release. Every value is quoted: a release may be called y. */}}
{{- define "ordermill.selectorLabels" -}}
app.kubernetes.io/name: {{ include "ordermill.name" . | quote }}
app.kubernetes.io/instance: {{ .Release.Name | quote }}
{{- end -}}

{{/* The labels of every object but what only a pipeline's have. */}}
{{- define "ordermill.commonLabels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | quote }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service | quote }}
app.kubernetes.io/part-of: "ordermill"
{{- include "ordermill.pairs" .Values.commonLabels }}
{{- end -}}

{{/* A map of texts, each pair on a new line. */}}
{{- define "ordermill.pairs" -}}
{{- range $key, $value := . }}
{{ $key }}: {{ $value | quote }}
{{- end }}
{{- end -}}

{{- define "ordermill.labels" -}}
{{ include "ordermill.selectorLabels" . }}
{{ include "ordermill.commonLabels" . }}
{{- end -}}

{{/* The environment of every container of ours: what the chart sets, and `secrets.env`. */}}
{{- define "ordermill.env" -}}
- name: ORDERMILL_CONFIG
  value: /etc/ordermill/ordermill.yaml
{{- range $name, $at := .Values.secrets.env }}
- name: {{ $name | quote }}
  valueFrom:
    secretKeyRef:
      name: {{ $at.secret | quote }}
      key: {{ $at.key | quote }}
{{- end }}
{{- end -}}

{{/* The files of every container of ours: (root, names of the pipelines). */}}
{{- define "ordermill.volumes" -}}
{{- $root := .root -}}
- name: settings
  projected:
    sources:
      - configMap:
          name: {{ printf "%s-settings" (include "ordermill.fullname" $root) | quote }}
          items:
            - { key: ordermill.yaml, path: ordermill.yaml }
      {{- range .names }}
      - configMap:
          name: {{ printf "%s-pipeline-%s" (include "ordermill.fullname" $root) . | quote }}
          items:
            - { key: pipeline.yaml, path: {{ printf "pipelines/%s.yaml" . | quote }} }
      {{- end }}
      {{- if $root.Values.contracts }}
      - configMap:
          name: {{ printf "%s-contracts" (include "ordermill.fullname" $root) | quote }}
          items:
            {{- range $subject, $versions := $root.Values.contracts }}
            {{- range $version, $text := $versions }}
            - { key: {{ printf "%s.%s.avsc" $subject $version | quote }}, path: {{ printf "avro/%s/%s.avsc" $subject $version | quote }} }
            {{- end }}
            {{- end }}
      {{- end }}
{{- range $root.Values.secrets.files }}
- name: {{ printf "secret-%s" . | replace "." "-" | trunc 63 | trimSuffix "-" | quote }}
  secret:
    secretName: {{ . | quote }}
    defaultMode: 0440
{{- end }}
{{- end -}}

{{- define "ordermill.volumeMounts" -}}
- { name: settings, mountPath: /etc/ordermill, readOnly: true }
{{- range .Values.secrets.files }}
- name: {{ printf "secret-%s" . | replace "." "-" | trunc 63 | trimSuffix "-" | quote }}
  mountPath: {{ printf "/etc/ordermill-secrets/%s" . | quote }}
  readOnly: true
{{- end }}
{{- end -}}

{{/* What changes the pods when it changes: settings and contracts. */}}
{{- define "ordermill.settingsSum" -}}
{{- printf "%s%s" (toJson .Values.config) (toJson .Values.contracts) | sha256sum -}}
{{- end -}}
