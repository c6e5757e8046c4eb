{{- define "orders.labels" -}}
app.kubernetes.io/part-of: orders
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "orders.databaseEnvironment" -}}
- {name: PGHOST, value: {{ .Release.Name }}-database}
- {name: PGPORT, value: "5432"}
- {name: PGDATABASE, value: {{ .Values.database.name | quote }}}
- {name: PGUSER, value: {{ .Values.database.user | quote }}}
- {name: ORDERS_DB_PASSWORD_FILE, value: /run/secrets/orders/db-password}
{{- end }}

{{- define "orders.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
{{- end }}

{{- define "orders.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end }}
