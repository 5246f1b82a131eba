"""Long-term and working memory; knows neither tasks nor agents, callers pass text and ids."""
