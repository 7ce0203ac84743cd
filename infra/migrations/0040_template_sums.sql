CREATE TABLE read_templates_sums (workspace text, word text, rows bigint NOT NULL, PRIMARY KEY (workspace, word));
INSERT INTO read_templates_sums
SELECT workspace, CASE WHEN archived THEN 'archived' ELSE 'open' END, count(*) FROM read_templates GROUP BY 1, 2;
